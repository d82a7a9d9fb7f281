import multiprocessing
import os
import pickle
import signal
import time

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segbench.config.component import TransformEntry
from segbench.data.cache.datasets import MemoryCache
from segbench.data.datasets.camvid import camvid
from segbench.data.loading.batch import collate_training
from segbench.data.loading.loader import EvaluationLoader, InputDigest, Shard, TrainingLoader
from segbench.data.loading.pipeline import Pipeline, derive_seed
from segbench.data.loading.workers import Key, Reader
from segbench.data.scenes.dataset import scenes
from segbench.errors import DataError

STEPS = (
    {"name": "random_scale", "minimum": 0.8, "maximum": 1.5},
    {"name": "rotation", "degrees": 10.0},
    {"name": "elastic", "alpha": 5.0, "sigma": 1.0},
    {"name": "random_crop", "size": [16, 16]},
    "horizontal_flip",
    "color_jitter",
    {"name": "gaussian_blur", "kernel_size": 3, "p": 0.9},
    "normalize",
)


def pipeline(*steps, training=True):
    return Pipeline([TransformEntry.model_validate(step) for step in steps], training=training)


def fed(loader, epochs=(0, 1)):
    """Return the digest of some epochs, and the names in the order in which they came."""
    digest, names = InputDigest(), []
    for epoch in epochs:
        for batch in loader.epoch(epoch):
            digest.update(batch.digests)
            names += batch.names
    return digest.hexdigest(), names


@pytest.fixture
def reference(arrays):
    with TrainingLoader(arrays(12), pipeline(*STEPS), batch_size=4, seed=3) as loader:
        return fed(loader)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize(("workers", "batch_size"), [(0, 1), (0, 12), (2, 3), (4, 4)])
def test_what_is_fed_does_not_depend_on_workers_or_batch_size(arrays, reference, workers, batch_size):
    with TrainingLoader(arrays(12), pipeline(*STEPS), batch_size=batch_size, seed=3, workers=workers) as loader:
        assert fed(loader) == reference


def test_an_epoch_can_be_entered_without_those_before(arrays, reference):
    with TrainingLoader(arrays(12), pipeline(*STEPS), batch_size=4, seed=3, workers=2) as loader:
        second = fed(loader, [1])
        list(loader.epoch(0))
        next(loader.epoch(2))
        assert fed(loader, [1]) == second
    assert second[1] == reference[1][12:]


def test_epochs_and_seeds_change_the_order(arrays):
    def names(seed, epoch):
        return fed(TrainingLoader(arrays(12), pipeline(), batch_size=4, seed=seed), [epoch])[1]

    orders = [names(0, 0), names(0, 1), names(1, 0)]
    assert len({tuple(order) for order in orders}) == 3
    assert all(sorted(order) == sorted(orders[0]) for order in orders)


def test_a_batch_holds_what_the_pipeline_made(arrays):
    dataset, steps = arrays(6), pipeline(*STEPS)
    batch = next(TrainingLoader(dataset, steps, batch_size=3, seed=5).epoch(7))
    assert batch.images.shape == (3, 3, 16, 16)
    assert batch.labels.shape == (3, 16, 16)
    for row, name in enumerate(batch.names):
        index = list(dataset.names).index(name)
        prepared = steps(dataset.read(index), (5, 7, index))
        assert torch.equal(batch.images[row], prepared.image)
        assert torch.equal(batch.labels[row], prepared.label)


def test_a_digest_follows_name_image_label_and_order(arrays):
    def digests(**changes):
        samples = [sample._replace(**changes) if changes else sample for sample in arrays(2).samples[:1]]
        return next(iter(EvaluationLoader(arrays(samples=samples), pipeline(training=False), batch_size=1))).digests

    sample = arrays(1).read(0)
    kinds = [{}, {"name": "other"}, {"image": sample.image ^ 1}, {"label": sample.label ^ 1}]
    assert len({digests(**kind) for kind in kinds}) == 4
    forth, back = InputDigest(), InputDigest()
    forth.update(["a", "b"])
    back.update(["b", "a"])
    assert forth.hexdigest() != back.hexdigest()


def test_the_digest_of_batches_is_that_of_their_images():
    together, apart = InputDigest(), InputDigest()
    together.update(["a", "b", "c"])
    apart.update(["a"])
    apart.update(["b", "c"])
    assert together.hexdigest() == apart.hexdigest()


@pytest.mark.parametrize(("drop_last", "count", "sizes"), [(True, 3, [4, 4]), (False, 4, [4, 4, 3])])
def test_an_incomplete_batch_is_left_out_on_request(arrays, drop_last, count, sizes):
    loader = TrainingLoader(arrays(11), pipeline(), batch_size=4, seed=0, drop_last=drop_last)
    assert [len(batch.names) for batch in loader.epoch(0)] == sizes
    assert len(loader) == len(sizes)


def test_an_epoch_without_a_batch_is_refused(arrays):
    with pytest.raises(DataError, match="has 3 images, fewer than one batch of 4"):
        TrainingLoader(arrays(3), pipeline(), batch_size=4, seed=0)
    with pytest.raises(DataError, match="has 0 images"):
        TrainingLoader(arrays(0, samples=None), pipeline(), batch_size=4, seed=0, drop_last=False)


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_reach_the_caller_as_they_were_raised(arrays, workers):
    dataset = arrays(8, broken=(5,))
    with TrainingLoader(dataset, pipeline(), batch_size=2, seed=0, workers=workers) as loader:
        with pytest.raises(DataError) as caught:
            list(loader.epoch(0))
        assert str(caught.value) == "image-005.png: cannot be read"
    with (
        EvaluationLoader(dataset, pipeline(training=False), batch_size=2, workers=workers) as test,
        pytest.raises(DataError, match=r"^image-005\.png: cannot be read$"),
    ):
        list(test)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_of_several_sizes_says_what_to_add(mixed_sizes, workers):
    with (
        TrainingLoader(mixed_sizes, pipeline(), batch_size=4, seed=0, workers=workers) as loader,
        pytest.raises(DataError, match=r"differ in size .*20x24.*add resize or random_crop"),
    ):
        list(loader.epoch(0))


def test_evaluation_keeps_the_order_and_groups_equal_sizes(mixed_sizes):
    loader = EvaluationLoader(mixed_sizes, pipeline("normalize", training=False), batch_size=4)
    batches = list(loader)
    assert [batch.names for batch in batches] == [("image-0", "image-1"), ("image-2",), ("image-3",)]
    assert [tuple(batch.images.shape) for batch in batches] == [(2, 3, 20, 24), (1, 3, 24, 20), (1, 3, 20, 24)]


def test_evaluation_labels_keep_their_own_sizes(mixed_sizes):
    steps = pipeline({"name": "resize", "size": [8, 8]}, training=False)
    (batch,) = EvaluationLoader(mixed_sizes, steps, batch_size=4)
    assert batch.images.shape == (4, 3, 8, 8)
    assert [tuple(label.shape) for label in batch.labels] == [(20, 24), (20, 24), (24, 20), (20, 24)]


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_digests_do_not_depend_on_workers_or_batch_size(mixed_sizes, workers):
    def digest(batch_size, workers):
        state = InputDigest()
        with EvaluationLoader(
            mixed_sizes, pipeline("normalize", training=False), batch_size=batch_size, workers=workers
        ) as loader:
            for batch in loader:
                state.update(batch.digests)
        return state.hexdigest()

    assert {digest(size, workers) for size in (1, 3, 4)} == {digest(2, 0)}


def test_loading_does_not_draw_from_the_global_generator(arrays):
    before = torch.get_rng_state()
    with TrainingLoader(arrays(8), pipeline(*STEPS), batch_size=2, seed=0, workers=2) as loader:
        list(loader.epoch(0))
        list(loader.epoch(1))
    list(TrainingLoader(arrays(8), pipeline(*STEPS), batch_size=2, seed=0).epoch(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_number_of_threads_is_put_back(arrays):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        list(TrainingLoader(arrays(4), pipeline(*STEPS), batch_size=2, seed=0).epoch(0))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_workers_live_from_epoch_to_epoch_and_end_at_close(arrays):
    loader = TrainingLoader(arrays(8), pipeline(), batch_size=2, seed=0, workers=2)
    assert multiprocessing.active_children() == []
    list(loader.epoch(0))
    first = {process.pid for process in multiprocessing.active_children()}
    unfinished = loader.epoch(1)
    next(unfinished)
    assert {process.pid for process in multiprocessing.active_children()} == first
    assert len(first) == 2
    loader.close()
    assert multiprocessing.active_children() == []
    loader.close()


def test_the_data_set_is_prepared_before_workers_start(arrays, monkeypatch):
    dataset = arrays(4)
    moments = []
    monkeypatch.setattr(dataset, "prepare", lambda: moments.append(len(multiprocessing.active_children())))
    with TrainingLoader(dataset, pipeline(), batch_size=2, seed=0, workers=2) as loader:
        list(loader.epoch(0))
        list(loader.epoch(1))
    assert moments == [0]


def test_what_workers_need_can_be_sent_to_them(camvid_tree):
    """Where processes are spawned and not forked, everything is pickled."""
    for dataset in (camvid("test", root=str(camvid_tree)), MemoryCache(scenes("val", size=[16, 16]))):
        sent = pickle.loads(pickle.dumps(Reader(dataset, pipeline({"name": "resize", "size": [20, 20]}, *STEPS), 0)))
        again = sent[Key(0, 0)]
        assert again.digest == Reader(dataset, sent.pipeline, 0)[Key(0, 0)].digest
    assert pickle.loads(pickle.dumps(collate_training)) is collate_training


def test_a_worker_that_dies_says_what_may_help(arrays):
    class Deadly(type(arrays(1))):
        def read(self, index):
            os.kill(os.getpid(), signal.SIGKILL)

    dataset = arrays(4)
    dataset.__class__ = Deadly
    with (
        TrainingLoader(dataset, pipeline(), batch_size=2, seed=0, workers=1) as loader,
        pytest.raises(DataError, match=r"worker process .* died .*loader.workers"),
    ):
        list(loader.epoch(0))


def naive_epoch(count, epoch, *, batch_size, seed, drop_last, share):
    """Return the positions of each batch of an epoch, worked out without a loader."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(derive_seed(seed, epoch))).tolist()
    batches = [order[start : start + batch_size] for start in range(0, count, batch_size)]
    if drop_last and len(batches[-1]) < batch_size:
        batches.pop()
    rank, size = share
    return [batch[len(batch) * rank // size : len(batch) * (rank + 1) // size] for batch in batches]


def positions(batches):
    return [[int(name.removeprefix("image-")) for name in batch.names] for batch in batches]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    count=st.integers(4, 11),
    batch_size=st.integers(2, 4),
    seed=st.integers(0, 2**31),
    drop_last=st.booleans(),
    last_epoch=st.none() | st.integers(0, 3),
)
def test_epochs_in_any_order_are_those_of_a_naive_reference(
    arrays, data, count, batch_size, seed, drop_last, last_epoch
):
    share = Shard(*data.draw(st.sampled_from([(0, 1), (0, 2), (1, 2)])))
    if not drop_last and 0 < count % batch_size < share.size:
        share = Shard()
    shape = {"batch_size": batch_size, "seed": seed, "drop_last": drop_last, "share": share}
    loader = TrainingLoader(arrays(count, size=(2, 2)), pipeline(), last_epoch=last_epoch, **shape)
    for _ in range(data.draw(st.integers(1, 4))):
        first, skip = data.draw(st.integers(0, 3)), data.draw(st.integers(0, len(loader)))
        for epoch in range(first, first + 2):
            expected = naive_epoch(count, epoch, **shape)
            assert positions(loader.epoch(epoch, skip=skip)) == expected[skip:]
            skip = 0


@pytest.mark.parametrize("pass_by", [0, 2])
def test_workers_hand_out_the_naive_reference_across_epochs(arrays, pass_by):
    shape = {"batch_size": 4, "seed": 9, "drop_last": False, "share": Shard(1, 2)}
    with TrainingLoader(arrays(11), pipeline(), workers=2, last_epoch=4, **shape) as loader:
        assert positions(loader.epoch(1, skip=pass_by)) == naive_epoch(11, 1, **shape)[pass_by:]
        for epoch in (2, 3, 4, 5, 2):
            assert positions(loader.epoch(epoch)) == naive_epoch(11, epoch, **shape)


def test_epochs_that_are_drawn_from_in_turns_stay_apart(arrays):
    with TrainingLoader(arrays(8), pipeline(), batch_size=2, seed=0, workers=1) as loader:
        expected = {epoch: positions(loader.epoch(epoch)) for epoch in (1, 2)}
        one, two = loader.epoch(1), loader.epoch(2)
        found = [(positions([next(one)])[0], positions([next(two)])[0]) for _ in range(4)]
    assert found == list(zip(expected[1], expected[2], strict=True))


def counting(dataset, *, most=None):
    """Make a data set count its reads in all processes, and fail from one on."""
    reads = multiprocessing.Value("i", 0)

    class Counting(type(dataset)):
        def read(self, index):
            with reads.get_lock():
                reads.value += 1
                if most is not None and reads.value > most:
                    raise DataError("the disk is gone")
            return super().read(index)

    dataset.__class__ = Counting
    return reads


def wait_for(condition):
    """Wait until something is so, at most five minutes."""
    end = time.monotonic() + 300
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def test_workers_begin_the_next_epoch_before_it_is_asked_for(arrays):
    dataset = arrays(8)
    reads = counting(dataset)
    with TrainingLoader(dataset, pipeline(), batch_size=2, seed=0, workers=2) as loader:
        list(loader.epoch(1))
        wait_for(lambda: reads.value > 8)
        assert reads.value <= 8 + 2 * 2 * 2  # two batches ahead for each worker


def test_workers_read_nothing_after_the_last_epoch(arrays):
    dataset = arrays(8)
    reads = counting(dataset)
    with TrainingLoader(dataset, pipeline(), batch_size=2, seed=0, workers=2, last_epoch=2) as loader:
        list(loader.epoch(1))
        list(loader.epoch(2))
    assert reads.value == 16


def test_without_workers_nothing_is_read_ahead(arrays):
    dataset = arrays(8)
    loader = TrainingLoader(dataset, pipeline(), batch_size=2, seed=0)
    first = loader.epoch(1)
    assert dataset.reads == 0
    for handed_out in range(1, 5):
        next(first)
        assert dataset.reads == 2 * handed_out
    assert list(first) == []
    assert dataset.reads == 8


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_the_next_epoch_waits_until_that_is_asked_for(arrays, workers):
    dataset = arrays(6)
    reads = counting(dataset, most=6)
    with TrainingLoader(dataset, pipeline(), batch_size=2, seed=0, workers=workers) as loader:
        assert len(list(loader.epoch(1))) == 3
        if workers:
            wait_for(lambda: reads.value > 6)
        with pytest.raises(DataError, match="the disk is gone"):
            next(loader.epoch(2))


def test_an_error_ends_the_stream_and_another_epoch_begins_a_new_one(arrays):
    shape = {"batch_size": 2, "seed": 1, "drop_last": True, "share": Shard()}
    with TrainingLoader(arrays(6, broken=(4,)), pipeline(), workers=1, **shape) as loader:
        for epoch in (1, 2):
            whole = naive_epoch(6, epoch, **shape)
            before = next(number for number, batch in enumerate(whole) if 4 in batch)
            batches = loader.epoch(epoch)
            assert positions(next(batches) for _ in range(before)) == whole[:before]
            with pytest.raises(DataError, match="image-004"):
                next(batches)


def test_a_loader_with_batches_prepared_closes_at_once_and_can_begin_again(arrays):
    loader = TrainingLoader(arrays(40), pipeline(), batch_size=2, seed=0, workers=2)
    names = [batch.names for batch in loader.epoch(1)]
    next(loader.epoch(2))
    loader.close()
    assert multiprocessing.active_children() == []
    assert [batch.names for batch in loader.epoch(1)] == names
    loader.close()
    assert multiprocessing.active_children() == []
