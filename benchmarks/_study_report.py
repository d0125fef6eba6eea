"""Tables and figure of the dropout study, from whatever is finished.

A *cell* is a set with a noise; it counts where every method has all its seeds there, so that no
method is compared on other data than the rest. The tests take data sets as blocks, with scores
averaged over the kinds of noise first: three noisy versions of one set are not three sets. A
thinned set shares its test recordings with its parent; the tests leave it out.
"""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks._study_data import SNR, SOURCES
from benchmarks._study_ours import ABLATIONS, DEFAULT, FACE, OURS, TUNED, UNRANKED
from benchmarks._study_statistics import (
    critical_difference,
    draw_ranks,
    friedman,
    holm,
    mean_ranks,
    wilcoxon,
)
from benchmarks._study_store import Key, Line

#: Scores closer than this are a tie.
TIE = 0.005
Cells = dict[tuple[str, str], dict[str, list[Line]]]


def report(lines: dict[Key, Line], wanted: list[Key], stem: Path) -> str:
    """Write ``<stem>.rst``, ``<stem>_scores.csv`` and ``<stem>_ranks_<half>.png``; return the text.

    Parameters
    ----------
    lines : dict of Key to Line
        What is finished.
    wanted : list of Key
        What the whole study would be.
    stem : Path
        Folder and beginning of the files' names.

    Returns
    -------
    str
        reStructuredText of all tables.
    """
    methods = list(dict.fromkeys(key.method for key in wanted))
    found = [lines[key] for key in wanted if key in lines]
    cells, incomplete = complete_cells(found, wanted)
    other = len(lines) - len(found)
    text = [
        f"{len(found)} of {len(wanted)} fits are there, {len(wanted) - len(found)} are missing; "
        f"{len(cells)} of {len(cells) + incomplete} cells (a set with a noise) are complete and "
        f"count. {other} lines of other settings in the file do not."
    ]
    stem.parent.mkdir(parents=True, exist_ok=True)
    _write_scores(found, stem.with_name(f"{stem.name}_scores.csv"))
    if cells:
        for half in dict.fromkeys(SOURCES[name].half for name, _ in cells):
            part = {cell: rows for cell, rows in cells.items() if SOURCES[cell[0]].half == half}
            picture = stem.with_name(f"{stem.name}_ranks_{half}.png")
            text += _half(part, methods, half, picture)
        text += [_costs(cells, methods)]
    whole = "\n\n".join(text) + "\n"
    stem.with_name(f"{stem.name}.rst").write_text(whole, encoding="utf-8")
    return whole


def complete_cells(found: list[Line], wanted: list[Key]) -> tuple[Cells, int]:
    """Cells that hold all that is wanted of them, and the number of others."""
    due: dict[tuple, int] = defaultdict(int)
    there: dict[tuple, dict[str, list[Line]]] = defaultdict(lambda: defaultdict(list))
    for key in wanted:
        due[key.set, key.noise] += 1
    for line in found:
        there[line.set, line.noise][line.method].append(line)
    full = {
        cell: dict(there[cell])
        for cell, n in due.items()
        if sum(map(len, there[cell].values())) == n
    }
    return full, len(due) - len(full)


def score(lines: list[Line]) -> float:
    """Mean over the seeds."""
    return float(np.mean([line.score for line in lines]))


def _half(cells: Cells, methods: list[str], half: str, picture: Path) -> list[str]:
    shown = [method for method in methods if method not in ABLATIONS]
    blocks = [_scores_table(cells, shown, half)]
    ranked = [method for method in methods if method not in UNRANKED]
    if DEFAULT in ranked and len(ranked) > 2:
        blocks += [_ranks_table(cells, ranked, half, picture), _against_best(cells, ranked, half)]
    parts = [method for method in methods if method in (DEFAULT, *UNRANKED)]
    if DEFAULT in parts and len(parts) > 2:
        blocks += [_parts_table(cells, parts, half)]
    return blocks


def _parts_table(cells: Cells, methods: list[str], half: str) -> str:
    """What the parts of the default are worth, by the kind of noise."""
    noises = list(dict.fromkeys(noise for _, noise in cells))
    rows = []
    for method in methods:
        means = [
            np.mean([score(by_method[method]) for (_, n), by_method in cells.items() if n == noise])
            for noise in noises
        ]
        rows.append([method, *(f"{100 * mean:.2f}" for mean in (*means, np.mean(means)))])
    title = (
        f"Mean score of '{DEFAULT}' and of the same with one part left out, {half} half. "
        f"'{FACE}' drops nothing."
    )
    return csv_table(title, ["", *noises, "mean"], rows)


def _scores_table(cells: Cells, methods: list[str], half: str) -> str:
    rows = []
    for (name, noise), by_method in cells.items():
        means = [score(by_method[method]) for method in methods]
        top = max(m for m, method in zip(means, methods, strict=True) if method != FACE)
        figures = [
            _figure(mean, method != FACE and mean >= top - 1e-9)
            for mean, method in zip(means, methods, strict=True)
        ]
        rows.append([name, noise, *figures])
    title = (
        f"Accuracy in per cent, or R² times 100, on the test recordings; {half} half, mean over "
        f"seeds. Noise at {SNR:g} dB."
    )
    return csv_table(title, ["set", "noise", *methods], rows)


def _ranks_table(cells: Cells, methods: list[str], half: str, picture: Path) -> str:
    names = [name for name in dict.fromkeys(name for name, _ in cells) if "-" not in name]
    scores = np.array([_set_means(cells, name, methods) for name in names])
    cell_scores = np.array([[score(rows[m]) for m in methods] for rows in cells.values()])
    if not names:
        return f"No whole set of the {half} half is there; ranks need some."
    ranks, cell_ranks = mean_ranks(scores), mean_ranks(cell_scores)
    difference = critical_difference(len(methods), len(names))
    draw_ranks(methods, ranks, difference, picture, f"Mean ranks, {half} half, {len(names)} sets")
    ours = methods.index(DEFAULT)
    others = [i for i in range(len(methods)) if i != ours]
    p = dict(
        zip(others, holm([wilcoxon(scores[:, ours], scores[:, i]) for i in others]), strict=True)
    )
    rows = []
    for i in np.argsort(ranks, kind="stable"):
        gap = cell_scores[:, ours] - cell_scores[:, i]
        games = [f"{(gap > TIE).sum()}/{(abs(gap) <= TIE).sum()}/{(gap < -TIE).sum()}"]
        own = ["", "", ""] if i == ours else [*games, f"{100 * gap.mean():+.2f}", f"{p[i]:.3f}"]
        rows.append([methods[i], f"{ranks[i]:.2f}", f"{cell_ranks[i]:.2f}", *own])
    title = (
        f"Mean ranks, {half} half: over {len(names)} whole sets, noises averaged (Friedman p = "
        f"{friedman(scores):.3g}, critical difference {difference:.2f}), and over {len(cells)} "
        f"cells; '{DEFAULT}' against each in wins/ties/losses over cells (tie: within "
        f"{100 * TIE:g} points), mean difference in points, and Wilcoxon p over sets after Holm."
    )
    header = ["method", "rank, sets", "rank, cells", "win/tie/loss", "difference", "p, Holm"]
    return csv_table(title, header, rows)


def _set_means(cells: Cells, name: str, methods: list[str]) -> list[float]:
    noises = [by_method for (cell, _), by_method in cells.items() if cell == name]
    return [float(np.mean([score(by_method[m]) for by_method in noises])) for m in methods]


def _against_best(cells: Cells, methods: list[str], half: str) -> str:
    """Ours against the peers' best: by the test score, and by what a user can know."""
    peers = [method for method in methods if method not in OURS]
    kinds = [kind for kind in (DEFAULT, TUNED) if kind in methods]
    rows, gaps = [], []
    for (name, noise), by_method in cells.items():
        means = {method: score(by_method[method]) for method in methods}
        best = max(peers, key=means.__getitem__)
        picked = max(peers, key=lambda peer, found=by_method: found[peer][0].cv_score)
        gap = [means[kind] - means[peer] for kind in kinds for peer in (best, picked)]
        gaps.append(gap)
        rows.append([name, noise, best, picked, *(f"{100 * g:+.1f}" for g in gap)])
    gaps = np.array(gaps)
    tally = [f"{(g > TIE).sum()}/{(abs(g) <= TIE).sum()}/{(g < -TIE).sum()}" for g in gaps.T]
    rows.append(["win/tie/loss", "", "", "", *tally])
    rows.append(["mean", "", "", "", *(f"{100 * g:+.2f}" for g in gaps.mean(axis=0))])
    title = (
        f"Difference to the best peer in points, {half} half. *Best* is found with the test "
        "scores, which flatters it: the maximum of "
        f"{len(peers)} noisy figures. *Picked* is what tuning all peers would pick by its inner "
        "cross-validation."
    )
    columns = [f"{kind} − {which}" for kind in kinds for which in ("best", "picked")]
    return csv_table(title, ["set", "noise", "best", "picked", *columns], rows)


def _costs(cells: Cells, methods: list[str]) -> str:
    """Mean over the cells of what one usable model costs: the search and one final fit."""
    rows = []
    for method in methods:
        plain = FACE if method in OURS else "none"
        every = [by_method[method] for by_method in cells.values()]
        row = [
            method,
            f"{100 * np.mean([score(lines) for lines in every]):.2f}",
            f"{np.mean([lines[0].tuning_fits for lines in every]):.0f} + 1",
            f"{np.mean([lines[0].tuning_epochs + _fit_epochs(lines) for lines in every]):.0f}",
            f"{np.mean([lines[0].tuning_seconds + _fit_seconds(lines) for lines in every]):.2f}",
            "",
        ]
        if plain in methods:
            single = [in_plain_fits(by_method, method, plain) for by_method in cells.values()]
            row[-1] = f"{np.median(single):.1f}"
        rows.append(row)
    title = (
        "Cost of one usable model, search and final fit, mean over cells: fits, epochs, processor "
        "seconds of one thread, and (median over cells) in plain fits: a fit's seconds over those "
        "of one without dropout by the same code, times the fits, a fit of two thirds of the rows "
        "counting two thirds. Peers train in stacks by a lean loop, ours one by one through the "
        "estimator: compare seconds within a kind, and plain fits between them. The score is the "
        "mean over all cells."
    )
    header = ["method", "score", "fits", "epochs", "seconds", "plain fits"]
    return csv_table(title, header, rows)


def in_plain_fits(by_method: dict[str, list[Line]], method: str, plain: str) -> float:
    """Cost of search and final fit in fits of the same code without dropout."""
    lines = by_method[method]
    relative = _fit_seconds(lines) / _fit_seconds(by_method[plain])
    return relative * (1 + 2 / 3 * lines[0].tuning_fits)


def _fit_seconds(lines: list[Line]) -> float:
    return float(np.mean([line.fit_seconds for line in lines]))


def _fit_epochs(lines: list[Line]) -> float:
    return float(np.mean([line.fit_epochs for line in lines]))


def _figure(value: float, strong: bool) -> str:
    text = f"{100 * value:.1f}"
    return f"**{text}**" if strong else text


def csv_table(title: str, header: list[str], rows: list[list[str]]) -> str:
    """A reStructuredText table that stays readable as text."""
    lines = [f".. csv-table:: {title}", f"   :header: {_quoted(header)}", ""]
    return "\n".join(lines + [f"   {_quoted(row)}" for row in rows])


def _quoted(row: list[str]) -> str:
    return ", ".join(f'"{entry}"' for entry in row)


def _write_scores(found: list[Line], path: Path) -> None:
    """One row a set, noise and method: mean and standard deviation over the seeds, and costs."""
    groups: dict[tuple, list[Line]] = defaultdict(list)
    for line in found:
        groups[SOURCES[line.set].half, line.set, line.noise, line.method].append(line)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        costs = ["tuning_fits", "tuning_epochs", "tuning_seconds", "fit_epochs", "fit_seconds"]
        figures = ["seeds", "score", "score_sd", "rmse", "cv_score", "chosen"]
        writer.writerow(["half", "set", "noise", "method", *figures, *costs])
        for group, lines in groups.items():
            first = lines[0]
            scores = [line.score for line in lines]
            rmse = np.mean([line.rmse for line in lines])
            figures = [np.mean(scores), np.std(scores), rmse, first.cv_score]
            tuning = [first.tuning_fits, first.tuning_epochs, f"{first.tuning_seconds:.3f}"]
            fit = [f"{_fit_epochs(lines):.1f}", f"{_fit_seconds(lines):.3f}"]
            shown = [f"{figure:.4f}" for figure in figures]
            writer.writerow([*group, len(lines), *shown, first.chosen, *tuning, *fit])
