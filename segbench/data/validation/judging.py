"""Judges the content of a suite's splits: problems stop a run unless the suite allows them, notes do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from segbench.config.component import AllowedKind, DatasetEntry
from segbench.data.validation.equal_pictures import alike
from segbench.data.validation.facts import SplitFacts
from segbench.data.validation.findings import Finding, Level, problems_first
from segbench.data.validation.overlap import must_differ
from segbench.data.validation.thin_classes import thin_classes
from segbench.data.validation.wide_void import WideVoid, wide_void
from segbench.results.wording import joined

MOST_VOID = 0.5
"""Fraction of void pixels above which a split is a problem. CamVid and VOC have 3 to 6 % void, ADE20K about 10 %,
sparsely labelled sets such as PASCAL-Context up to 30 %. Above one half, a class is probably ignored."""

MOST_STATED_VOID = 0.9
"""The same limit if the suite gives the mask values of both classes and void, such as "other" in a set with few
classes."""

_SHOWN_NAMES = 3


@dataclass(frozen=True)
class CheckedSplit:
    """A checked split.

    Attributes:
        title: Name of the split.
        facts: Its facts.
        names: Its images' names, in order.
        image_ids: Its images' ids across splits, in order.
        is_cut: Whether the suite uses only some of its images (``fraction``, ``limit``), so rare classes may be missing
            by chance.
    """

    title: str
    facts: SplitFacts
    names: Sequence[str] = ()
    image_ids: Sequence[str] = ()
    is_cut: bool = False


def judge(
    splits: Mapping[str, CheckedSplit],
    entry: DatasetEntry,
    *,
    select: Literal["last", "best"] = "last",
    partial: bool = False,
) -> list[Finding]:
    """Return all findings about checked splits.

    Args:
        splits: The splits by role: ``train``, ``validation``, ``test``.
        entry: The suite's data set, which may allow some kinds of findings.
        select: The suite's ``train.select``: with ``best``, validation and test must differ as well.
        partial: Whether there are further splits, which may contain classes missing in these.
    """
    if wrong := wrong_files(splits.values(), entry):
        return wrong
    judge = Judge(entry)
    found = judge.ignored_classes(splits.values())
    for split in splits.values():
        found += judge.split(split)
    found += judge.absent_classes(splits, partial=partial)
    found += thin_classes(splits.values(), entry)
    apart = set(must_differ(splits, select))
    for first, second in must_differ(splits, "best"):
        found += judge.same_pictures(splits[first], splits[second], is_note=(first, second) not in apart)
    return problems_first(found)


def wrong_files(splits: Iterable[CheckedSplit], entry: DatasetEntry) -> list[Finding]:
    """Return problems with files; other findings are not meaningful until these are solved."""
    splits = list(splits)
    files = [Finding("files", Level.PROBLEM, split.title, text) for split in splits for text in split.facts.problems]
    return problems_first([*Judge(entry).ignored_classes(splits), *files]) if files else []


@dataclass(frozen=True)
class Judge:
    """Judges splits by the settings of a suite's data set.

    Attributes:
        entry: The suite's data set.
    """

    entry: DatasetEntry

    def split(self, split: CheckedSplit) -> Iterator[Finding]:
        """Yield the findings about one split."""
        facts = split.facts
        if facts.images and not facts.labelled_pixels:
            nothing = f"all pixels are void: there is nothing to train on or to score. {self._values_hint(facts)}"
            yield Finding("unlabelled", Level.PROBLEM, split.title, nothing.strip())
            return
        yield from self._one_class(split)
        yield from self._void(split)
        for kind, text in facts.remarks:
            known = kind in get_args(AllowedKind)
            yield self.judged(kind, split, text) if known else Finding(kind, Level.NOTE, split.title, text)
        if facts.repeats:
            yield Finding("repeated-picture", Level.NOTE, split.title, _repeats(facts))

    def _one_class(self, split: CheckedSplit) -> Iterator[Finding]:
        classes = split.facts.class_pixels
        present = [name for name, pixels in classes.items() if pixels]
        if len(classes) == 1 and present:
            text = (
                f"there is one class only, {present[0]}; every pixel that is not void is of it, so that any network is "
                "right everywhere"
            )
            yield self.judged("one-class", split, text, remedy="Name all classes, the background among them")
        elif len(present) == 1:
            text = f"every labelled pixel is of one class, {present[0]}"
            yield self.judged("one-class", split, text, remedy=self._values_hint(split.facts))

    def _void(self, split: CheckedSplit) -> Iterator[Finding]:
        facts = split.facts
        pixels = facts.void_pixels + facts.labelled_pixels
        share, limit = facts.void_pixels / max(pixels, 1), MOST_STATED_VOID if self._void_is_stated else MOST_VOID
        if share > limit:
            text = f"{share:.0%} of the pixels are void, more than {limit:.0%}"
            yield self.judged("void", split, text, remedy=self._values_hint(facts))
        elif not self._tells_of_one_class(facts) and (wide := wide_void(facts, self.entry)):
            yield self._judged_width(split, wide)
        elif share > MOST_VOID:
            yield Finding("void", Level.NOTE, split.title, f"{share:.0%} of the pixels are void")
        if facts.void_images:
            some = f"{len(facts.void_images):,} of the {facts.images:,} masks"
            text = f"all pixels of {some} are void: {_listed(facts.void_images)}"
            yield Finding("void-mask", Level.NOTE, split.title, text)

    def _tells_of_one_class(self, facts: SplitFacts) -> bool:
        """Return whether a single class is a problem, which also explains the value 255."""
        return sum(pixels > 0 for pixels in facts.class_pixels.values()) < 2 and "one-class" not in (
            self.entry.allow or ()
        )

    def _judged_width(self, split: CheckedSplit, wide: WideVoid) -> Finding:
        """Return the finding about void outside thin borders: a problem unless the suite sets the ignored value."""
        if wide.is_chosen and "void" not in (self.entry.allow or ()):
            return Finding("void", Level.NOTE, split.title, f"{wide.text}. {wide.remedy}")
        return self.judged("void", split, wide.text, remedy=f"{wide.remedy}; if it is void, write ignore: 255")

    def absent_classes(self, by_role: Mapping[str, CheckedSplit], *, partial: bool) -> Iterator[Finding]:
        """Yield findings about classes without pixels in all splits (a problem) or in one."""
        by_role = {role: split for role, split in by_role.items() if split.facts.labelled_pixels}
        splits = list(by_role.values())
        if not splits:
            return
        everywhere = [
            name for name in splits[0].facts.absent_classes if all(name in one.facts.absent_classes for one in splits)
        ]
        if missing := [name for name in everywhere if name not in self._ignored]:
            others = list(dict.fromkeys(split.title for split in splits[1:] if split.title != splits[0].title))
            text = f"no label is of {_classes(missing)}{', here or in ' + ' and '.join(others) if others else ''}"
            chance = partial or any(split.is_cut for split in splits)
            is_note = chance or "classes" not in self.entry.options  # built-in data sets are read correctly
            remedy = self._values_hint(splits[0].facts)
            yield self.judged("absent-class", splits[0], text, remedy=remedy, is_note=is_note)
        unlearnt = ", which cannot be learnt (class_weights: median_frequency gives it the weight 0)"
        for role, split in by_role.items():
            if here := [name for name in split.facts.absent_classes if name not in everywhere]:
                text = f"no label is of {_classes(here)}{unlearnt if role == 'train' else ''}"
                yield Finding("absent-class", Level.NOTE, split.title, text)

    def ignored_classes(self, splits: Iterable[CheckedSplit]) -> list[Finding]:
        """Return the finding about classes whose mask value is ignored, reported for the first split."""
        for split in splits if self._ignored else ():
            classes = self.entry.options["classes"]
            above = [value for value in range(256) if value not in self._ignored_values][: len(classes)]
            numbers = joined([classes.index(name) for name in self._ignored])
            text = (
                f"dataset.ignore takes {numbers}, which without dataset.values is the mask value of "
                f"{_classes(self._ignored)}: no label can be of it"
            )
            remedy = f"Give the mask value of each class, such as dataset.values: {above}"
            return [self.judged("absent-class", split, text, remedy=remedy, is_note=False)]
        return []

    def same_pictures(self, first: CheckedSplit, second: CheckedSplit, *, is_note: bool = False) -> Iterator[Finding]:
        """Yield findings about pictures of one split that occur in another one under other names.

        Args:
            first: The first split.
            second: The second split.
            is_note: Whether the two may share pictures, because neither training nor selection uses one of them.
        """
        known = set(first.image_ids)  # an image in two splits is refused separately
        pairs = alike(first.facts.pictures, second.facts.pictures)
        found = [(one, other) for one, other in pairs if second.image_ids[other] not in known]
        if found:
            allowed = is_note or "same-picture" in (
                self.entry.allow or ()
            )  # results are kept longer than a machine's folders
            ids, others = (first.names, second.names) if allowed else (first.image_ids, second.image_ids)
            shown = _listed([f"{_shown(others[other])} is {_shown(ids[one])}" for one, other in found])
            text = f"{len(found):,} of the {second.facts.images:,} images show a picture that {first.title} has as well"
            if is_note:
                told = f"{text} ({shown}); nothing may be chosen by scores on one of the two"
                yield Finding("same-picture", Level.NOTE, second.title, told)
                return
            text = f"{text}, so that scores on them say nothing ({shown})"
            yield self.judged("same-picture", second, text, remedy="Delete them from one of the two", is_note=False)

    def judged(
        self, kind: str, split: CheckedSplit, text: str, *, remedy: str = "", is_note: bool | None = None
    ) -> Finding:
        """Return a finding of a kind that a suite may allow.

        Args:
            kind: The kind.
            split: Name of the split.
            text: The finding.
            remedy: What to do about it.
            is_note: Whether it is a note; default: if the split is cut.
        """
        allowed = self.entry.allow or ()
        if kind in allowed:
            return Finding(kind, Level.NOTE, split.title, f"{text} (dataset.allow: {kind})")
        if split.is_cut if is_note is None else is_note:
            return Finding(kind, Level.NOTE, split.title, text)
        kinds = ", ".join([*allowed, kind])
        remedies = [*([remedy] if remedy else []), f"If it is meant, allow it: dataset.allow: [{kinds}]"]
        return Finding(kind, Level.PROBLEM, split.title, ". ".join([text, *remedies]))

    def _values_hint(self, facts: SplitFacts) -> str:
        """Return a hint about the probable mistake in the suite's mask settings."""
        options = self.entry.options
        if "values" not in options:
            return ""
        if options["values"] is not None or options.get("palette") is not None:
            return "See whether dataset.values, palette and ignore are those of the masks"
        if not facts.void_pixels:
            return "Where masks hold other values than 0, 1, ..., give them as dataset.values"
        if self._ignored_values == [255]:
            return "255 is ignored; black-and-white masks need values: [0, 255] and ignore: null"
        if not self._ignored_values:
            return "See whether dataset.classes and ignore are those of the masks"
        verb = "is" if len(self._ignored_values) == 1 else "are"
        return f"{joined(self._ignored_values)} {verb} ignored; give the mask values of the classes as dataset.values"

    @property
    def _void_is_stated(self) -> bool:
        """Return whether the suite gives the mask values of both classes and void."""
        options = self.entry.options
        by_value = options.get("values") is not None and options.get("ignore") is not None
        return by_value or options.get("ignore_color") is not None

    @property
    def _ignored_values(self) -> list[int]:
        """Return the void mask values of masks without ``values``."""
        given = self.entry.options.get("ignore")
        some = given if isinstance(given, list | tuple) else [given]
        return sorted(value for value in some if isinstance(value, int))

    @property
    def _ignored(self) -> list[str]:
        """Return the classes whose mask value is ignored."""
        options = self.entry.options
        by_index = "values" in options and options["values"] is None and options.get("palette") is None
        classes = options.get("classes") or []
        by_index = by_index and not isinstance(classes, str)  # a predefined map has its own numbers
        return [classes[value] for value in self._ignored_values if by_index and 0 <= value < len(classes)]


def _repeats(facts: SplitFacts) -> str:
    count, other = len(facts.repeats), len(facts.relabelled)
    occur = "1 picture occurs" if count == 1 else f"{count:,} pictures occur"
    shown = facts.relabelled or facts.repeats
    masks = f", {other:,} of them with different masks" if other else ""
    return f"{occur} more than once{masks}: {'; '.join(' and '.join(names) for names in shown[:_SHOWN_NAMES])}" + (
        "; …" if len(shown) > _SHOWN_NAMES else ""
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN_NAMES]) + (", …" if len(names) > _SHOWN_NAMES else "")


def _classes(names: Sequence[str]) -> str:
    return f"the {'class' if len(names) == 1 else 'classes'} {joined(names)}"


def _shown(image_id: str) -> str:
    """Return a file's path relative to the current folder, if below it."""
    path, here = Path(image_id), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else image_id
