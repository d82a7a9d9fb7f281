"""Which model of a suite teaches which, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from segbench.config.sections.training import Distill
from segbench.errors import did_you_mean


def teachers_of(distill: Distill | None, labels: Sequence[str]) -> dict[str, str]:
    """Return the teacher's label of each student.

    Args:
        distill: The recipe's ``train.distill``; None for no students.
        labels: Labels of all models.
    """
    if distill is None:
        return {}
    if isinstance(distill.teacher, Mapping):
        return dict(distill.teacher)
    return {label: distill.teacher for label in labels if label != distill.teacher}


def teaching_problem(distill: Distill, labels: Sequence[str]) -> str | None:
    """Return why the models of a suite cannot teach each other like this; None if they can.

    Args:
        distill: The recipe's ``train.distill``.
        labels: Labels of all models.
    """
    teachers = teachers_of(distill, labels)
    named = [distill.teacher] if isinstance(distill.teacher, str) else [*teachers, *teachers.values()]
    for label in named:
        if label not in labels:
            return f"no model of the suite has the label {label!r}{did_you_mean(label, labels)}"
    if not teachers:
        return "teaches no model: add one, or leave train.distill out"
    for student, teacher in teachers.items():
        if student == teacher:
            return f"{student!r} cannot be its own teacher; name another model"
        path = lineage(student, teachers)
        if path[-1] in path[:-1]:
            circle = path[path.index(path[-1]) :]
            return f"goes in a circle: {' is taught by '.join(map(repr, circle))}"
    return None


def lineage(label: str, teachers: Mapping[str, str]) -> list[str]:
    """Return a model, its teacher, the teacher's teacher and so on; ends where a label occurs again."""
    path = [label]
    while (teacher := teachers.get(path[-1])) is not None:
        path.append(teacher)
        if teacher in path[:-1]:
            break
    return path


def teachers_first(labels: Sequence[str], teachers: Mapping[str, str]) -> list[str]:
    """Return labels with each teacher before its students; otherwise in the given order."""
    return sorted(labels, key=lambda label: len(lineage(label, teachers)))
