"""The folds of a cross-validation: every image tested once, groups kept together, and what is refused."""

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.model_selection import GroupKFold

from segbench.config.component import DatasetEntry
from segbench.config.sections.training import Loader
from segbench.data.datasets.pool import create_pool
from segbench.data.folds.folds import assigned, cut, open_folds
from segbench.data.folds.groups import groups_of
from segbench.data.validation.facts import facts_of
from segbench.data.validation.folds import check_folds, judge_folds
from segbench.errors import DataError, MissingDataError

SEVEN = tuple("abcdefg")


def entry(root, **changes):
    return DatasetEntry.model_validate(
        {"name": "folder", "root": str(root), "classes": ["ground", "thing"], "folds": 3, **changes}
    )


def put(root, names, *, split="", seed=0):
    """Write images of noise with masks of two classes."""
    random = np.random.default_rng([seed, len(split)])
    for name in names:
        for part, pixels in {
            "images": random.integers(0, 255, (8, 8, 3)),
            "masks": random.integers(0, 2, (8, 8)),
        }.items():
            folder = root / part / split
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{name}.png")


@pytest.fixture
def seven(tmp_path):
    """Seven images without splits."""
    put(tmp_path, SEVEN)
    return entry(tmp_path, images="images", masks="masks")


def test_seven_images_in_three_folds_by_hand():
    order = sorted(SEVEN, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    assert order == ["d", "f", "c", "b", "e", "a", "g"]  # as sha256sum says
    assert dict(zip(SEVEN, assigned(SEVEN, 3), strict=True)) == {"d": 1, "f": 2, "c": 3, "b": 1, "e": 2, "a": 3, "g": 1}


def test_every_image_is_tested_once_and_never_trained_on_in_its_fold(seven):
    folds = open_folds(seven, loader=Loader())
    tested = [name for fold in (1, 2, 3) for name in folds.test(fold).names]
    assert sorted(tested) == sorted(SEVEN)
    for fold in (1, 2, 3):
        assert sorted([*folds.test(fold).names, *folds.train(fold).names]) == sorted(SEVEN)
        following = folds.next(fold)
        without = folds.train(fold, but=[following])
        assert sorted([*folds.test(fold).names, *folds.test(following).names, *without.names]) == sorted(SEVEN)
    assert [folds.next(fold) for fold in (1, 2, 3)] == [2, 3, 1]


@given(st.lists(st.text(max_size=4), min_size=1, max_size=40), st.integers(2, 6))
def test_groups_are_never_split_and_sizes_are_those_of_scikit_learn(groups, folds):
    if len(set(groups)) < folds:
        return
    numbers = assigned(groups, folds)
    assert len(set(zip(groups, numbers, strict=True))) == len(set(groups))
    theirs = GroupKFold(folds).split(groups, groups=[sorted(set(groups)).index(group) for group in groups])
    assert sorted(Counter(numbers).values()) == sorted(len(test) for _, test in theirs)


def test_folds_do_not_depend_on_the_order_of_images():
    backwards = SEVEN[::-1]
    assert dict(zip(SEVEN, assigned(SEVEN, 3), strict=True)) == dict(
        zip(backwards, assigned(backwards, 3), strict=True)
    )


def test_all_named_splits_are_pooled(tmp_path):
    put(tmp_path, "abc", split="train")
    put(tmp_path, "de", split="val")
    put(tmp_path, "fg", split="test")
    assert list(create_pool(entry(tmp_path)).names) == list("abcfg")
    assert sorted(create_pool(entry(tmp_path, validation_split="val")).names) == list("abcdefg")
    assert list(create_pool(entry(tmp_path, test_split="train")).names) == list("abc")


def test_equal_names_in_two_splits_are_told_apart(tmp_path):
    put(tmp_path, "ab", split="train")
    put(tmp_path, "b", split="test")
    pool = create_pool(entry(tmp_path))
    assert list(pool.names) == ["train/a", "train/b", "test/b"]
    assert pool.read(2).name == "test/b"
    assert (pool.read(2).image == np.asarray(Image.open(tmp_path / "images/test/b.png"))).all()


def test_an_image_in_two_lists_is_pooled_once(tmp_path):
    put(tmp_path, "abc")
    (tmp_path / "train.txt").write_text("images/a.png masks/a.png\nimages/b.png masks/b.png\n")
    (tmp_path / "test.txt").write_text("images/b.png masks/b.png\nimages/c.png masks/c.png\n")
    assert list(create_pool(entry(tmp_path, split_file="{split}.txt")).names) == ["images/a", "images/b", "images/c"]


def test_a_missing_split_is_told_with_what_to_do(tmp_path):
    put(tmp_path, "abc", split="train")
    with pytest.raises(MissingDataError, match="give train_split and test_split one name"):
        create_pool(entry(tmp_path))


def test_more_folds_than_images_are_refused(seven):
    with pytest.raises(DataError, match=r"folds is 8, but there are 7 images \(a, b, .*set dataset.folds to 7"):
        open_folds(seven.model_copy(update={"folds": 8}), loader=Loader())


def grouped(seven, **groups):
    return DatasetEntry.model_validate(seven.model_dump() | {"fold_groups": groups})


def test_more_folds_than_groups_are_refused(seven, arrays):
    samples = [sample._replace(name=f"{'ax'[i % 2]}/{i}") for i, sample in enumerate(arrays(4).samples)]
    with pytest.raises(DataError, match=r"dataset.folds is 3, but there are 2 groups \(a, x\)"):
        cut(arrays(samples=samples), grouped(seven, folder=1))


def test_groups_come_from_a_file(seven, tmp_path):
    file = tmp_path / "patients.csv"
    file.write_text(
        "\ufeffimage,patient\n" + "".join(f"{name}.png,p{index // 3}\n" for index, name in enumerate(SEVEN))
    )
    folds = open_folds(grouped(seven, file=str(file), column="patient"), loader=Loader())
    assert folds.groups == ("p0", "p0", "p0", "p1", "p1", "p1", "p2")
    assert sorted(len(folds.test(fold)) for fold in (1, 2, 3)) == [1, 3, 3]
    by_fold = [set(folds.groups_in(folds.test(fold))) for fold in (1, 2, 3)]
    assert sorted(map(len, by_fold)) == [1, 1, 1]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({"folder": 1}, ("a/berlin", "a/berlin", "b/berlin")),
        ({"folder": 2}, ("a", "a", "b")),
        ({"pattern": r"\d+"}, ("1", "2", "1")),
        ({"pattern": r"/(\w)\w*_"}, ("x", "x", "y")),
    ],
)
def test_groups_come_from_names(groups, expected, tmp_path):
    names = ["a/berlin/x_1", "a/berlin/x_2", "b/berlin/y_1"]
    assert groups_of(names, entry(tmp_path, fold_groups=groups).fold_groups) == expected


@pytest.mark.parametrize("groups", [{"folder": 1}, {"pattern": r"^\w+"}])
def test_a_city_that_lies_in_two_splits_is_one_group(tmp_path, groups):
    for split in ("train", "test"):
        for city in ("berlin", "zurich"):
            (tmp_path / "images" / split / city).mkdir(parents=True)
            (tmp_path / "masks" / split / city).mkdir(parents=True)
        put(tmp_path, ["berlin/0", "zurich/0"], split=split)
    folds = open_folds(entry(tmp_path, folds=2, recursive=True, fold_groups=groups), loader=Loader())
    assert folds.groups == ("berlin", "zurich", "berlin", "zurich")
    assert [len(set(folds.groups_in(folds.test(fold)))) for fold in (1, 2)] == [1, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,patient\na,1\n", "6 of 7 have no line in .*patients.csv .b, c, d, …"),
        ("image,patient\n" + "".join(f"{name},1\n" for name in "abcdef"), "1 of 7 have no line in"),
        ("image,patient\na,1\nb,\n" + "".join(f"{name},1\n" for name in "cdefg"), r"1 of 7 have no line in .* \(b\)"),
        ("name,patient\na,1\n", "has no column 'image'; it has name, patient"),
        ("", "has no column 'image'; it has none"),
        ("image,patient\na,1\na.png,2\n", "patients.csv:3: 'a.png' is in the group '2', and above in '1'"),
        (None, "cannot be read as the CSV file of dataset.fold_groups"),
    ],
)
def test_images_without_a_group_are_refused(text, words, seven, tmp_path):
    file = tmp_path / "patients.csv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(DataError, match=words):
        open_folds(grouped(seven, file=str(file), column="patient"), loader=Loader())


def test_names_without_folders_have_no_folder_for_a_group(seven):
    with pytest.raises(DataError, match=r"7 of 7 have no folder number 1 in their names \(a, b, c, …\)"):
        open_folds(grouped(seven, folder=1), loader=Loader())


def test_a_fold_changes_with_the_files(seven, tmp_path):
    before = open_folds(seven, loader=Loader()).test(1).fingerprint()
    put(tmp_path, "a", seed=1)
    assert open_folds(seven, loader=Loader()).test(1).fingerprint() != before


def test_all_folds_share_one_cache(seven, tmp_path):
    loader = Loader(cache="disk", cache_folder=str(tmp_path / "cache"))
    for fold in (1, 2, 3):
        folds = open_folds(seven, loader=loader)
        for split in (folds.test(fold), folds.train(fold)):
            split.prepare()
            assert split.read(0).name == split.names[0]
    assert len([file for file in (tmp_path / "cache").rglob("*") if file.is_file()]) == 1


@pytest.fixture
def folds_of(arrays):
    """Return a function that cuts samples in memory into folds."""

    def make(samples, *, count=2, broken=()):
        entry = DatasetEntry.model_validate({"name": "scenes", "folds": count})
        return cut(arrays(samples=samples, broken=broken), entry)

    return make


def test_images_are_read_once_for_all_folds(arrays, folds_of):
    folds = folds_of(arrays(7).samples, count=3)
    tests = [folds.test(fold) for fold in (1, 2, 3)]
    reports = check_folds(folds, [*tests, folds.train(1)])
    assert folds.pool.reads == 7
    assert sum(reports[split.cache_key()].images for split in tests) == 7
    assert reports[folds.train(1).cache_key()].images == len(folds.train(1))
    assert reports[folds.pool.cache_key()].images == 7


@pytest.fixture
def shared_in():
    """Return a function that returns what is found of pictures that lie in several folds."""

    def find(folds, **options):
        entry = DatasetEntry.model_validate({"name": "scenes", "folds": folds.count, **options})
        pool = check_folds(folds, [])[folds.pool.cache_key()]
        return [one for one in judge_folds(folds, facts_of(pool), {}, entry) if one.kind == "same-picture"]

    return find


def test_one_image_under_two_names_in_two_folds_is_found(arrays, folds_of, shared_in):
    samples = arrays(6).samples
    numbers = folds_of(samples).numbers
    first, second = (numbers.index(number) for number in (1, 2))
    samples[second] = samples[second]._replace(image=samples[first].image)
    (found,) = shared_in(folds_of(samples))
    assert found.level == "problem"
    assert samples[first].name in found.message
    assert samples[second].name in found.message
    assert "the same image in the folds 1, 2" in found.message
    (allowed,) = shared_in(folds_of(samples), allow=["same-picture"])
    assert allowed.level == "note"


def test_copies_in_one_fold_and_blank_images_are_no_leak(arrays, folds_of, shared_in):
    samples = arrays(6).samples
    numbers = folds_of(samples).numbers
    one, other = [index for index, number in enumerate(numbers) if number == 1][:2]
    samples[other] = samples[other]._replace(image=samples[one].image)
    assert not shared_in(folds_of(samples))
    blank = [sample._replace(image=np.full_like(sample.image, 7)) for sample in samples]
    assert not shared_in(folds_of(blank))


def test_an_unreadable_image_is_a_problem_of_its_fold(arrays, folds_of):
    samples = arrays(4).samples
    folds = folds_of(samples, broken=[0])
    parts = [folds.test(1), folds.test(2)]
    reports = check_folds(folds, parts)
    wrong = [bool(reports[part.cache_key()].problems) for part in parts]
    assert wrong == [samples[0].name in part.names for part in parts]


def put_stacks(root, pages, *, name="stack"):
    """Write TIFF stacks of images and masks, of so many pages each."""
    random = np.random.default_rng(7)
    for number, count in enumerate(pages):
        for part, high in (("images", 255), ("masks", 2)):
            (root / part).mkdir(parents=True, exist_ok=True)
            first, *others = [Image.fromarray(random.integers(0, high, (8, 8)).astype(np.uint8)) for _ in range(count)]
            first.save(root / part / f"{name}{number}.tif", save_all=True, append_images=others)


@pytest.mark.parametrize("pages", [(4, 4, 4), (1, 5, 2, 3), (7, 1, 1, 1, 1)])
def test_pages_of_a_stack_are_never_in_two_folds(tmp_path, pages):
    put_stacks(tmp_path, pages)
    given = entry(tmp_path, images="images", masks="masks", pages="each", values=[0, 1])
    folds = open_folds(given, loader=Loader())
    assert len(folds.numbers) == sum(pages)
    by_stack = {}
    for name, number in zip(folds.pool.names, folds.numbers, strict=True):
        by_stack.setdefault(name.split("#")[0], set()).add(number)
    assert len(by_stack) == len(pages)
    assert all(len(numbers) == 1 for numbers in by_stack.values())
    assert set(folds.numbers) == {1, 2, 3}


def test_that_stacks_stay_together_is_told(tmp_path):
    put_stacks(tmp_path, (2, 2, 2))
    given = entry(tmp_path, images="images", masks="masks", pages="each", values=[0, 1])
    folds = open_folds(given, loader=Loader())
    tests = [folds.test(fold) for fold in (1, 2, 3)]
    reports = check_folds(folds, tests)
    pixels = {
        fold: dict(zip(reports[part.cache_key()].classes, reports[part.cache_key()].class_pixels, strict=True))
        for fold, part in enumerate(tests, 1)
    }
    found = judge_folds(folds, facts_of(reports[folds.pool.cache_key()]), pixels, given)
    assert any("the 6 pages are of 3 files, and the pages of a file stay in one fold" in one.message for one in found)


def test_more_folds_than_stacks_are_refused(tmp_path):
    put_stacks(tmp_path, (5, 5))
    given = entry(tmp_path, images="images", masks="masks", pages="each", values=[0, 1])
    with pytest.raises(DataError, match=r"dataset.folds is 3, but there are 2 stacks \(stack0, stack1\)"):
        open_folds(given, loader=Loader())


def test_groups_of_stacks_are_listed_by_file_and_may_not_tear_one_apart(tmp_path):
    put_stacks(tmp_path, (2, 2, 2, 2))
    file = tmp_path / "patients.csv"
    file.write_text("image,patient\nstack0.tif,a\nstack1.tif,a\nstack2.tif,b\nstack3.tif,c\n")
    given = entry(tmp_path, images="images", masks="masks", pages="each", values=[0, 1])
    folds = open_folds(grouped(given, file=str(file), column="patient"), loader=Loader())
    assert folds.groups == ("a", "a", "a", "a", "b", "b", "c", "c")
    with pytest.raises(DataError, match="pages of stack0 are in the groups '1' and '2'"):
        open_folds(grouped(given, pattern=r"#(\d+)"), loader=Loader())


def test_single_pages_with_pages_each_are_their_own_groups(tmp_path):
    put_stacks(tmp_path, (1, 1, 1, 1))
    folds = open_folds(entry(tmp_path, images="images", masks="masks", pages="each", values=[0, 1]), loader=Loader())
    assert folds.groups is None
