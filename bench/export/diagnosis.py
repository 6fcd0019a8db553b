"""What an error on the way from a network to a runtime's answers is about: its kind, the operator, the line, the fix.

Converters say it in their own words, of which this module knows the forms; whatever it does not know keeps its words
and gets the kind that follows from where it happened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from bench.conversion import Stage, Trouble
from bench.errors import BenchError, BuildFailed, ExportRefused, ToolMissing, UsageError, WrongAbi
from bench.text import visible

MOST_SAID = 600
_MOST_PLACES = 3
_OF_OPERATORS = ("unsupported operator", "exporter refused", "exporter crashed", "does not run", "dynamic shape")
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_PLACE = re.compile(r"[^\s():/\\]+\.py:\d+(?:: [^\n]*)?")
_OPERATOR = (
    re.compile(r"ncnn cannot do (?:torch\.)?(\S+)"),
    re.compile(r"No ONNX function found for <OpOverload\(op='([\w.]+)'"),
    re.compile(r"(?:OpOverload\(op='|torch\.ops\.)(aten[.:]+\w+)"),
    re.compile(r"\b(aten(?:::|\.)\w+)"),
    re.compile(r"Calling torch\.([\w.]+)"),
    re.compile(r"[Uu]nsupported (?:op|operator|layer)s?[:\s]+['\"]?([\w.:]+)"),
    re.compile(r"layer ([A-Za-z_.:]\w[\w.:]*) not exists or registered"),
    re.compile(r"(?:node type|Op type|op_type)[:=\s]+['\"]?(\w+)"),
)
_WORDS: Sequence[tuple[str, str]] = (
    (r"depends on the values of its input|data-dependent|DataDependent|GuardOnData|_local_scalar_dense",
     "values decide"),
    (r"shape of output \S+ depends on the values|[Dd]ynamicOutputShape|unbacked symint|dynamic[- ]shape",
     "dynamic shape"),
    (r"draws random numbers|keeps a state|changes its input in place", "not a function"),
    (r"differs from the network's by|computes anything else|gave \d+ (?:outputs|values for)", "wrong numbers"),
    (r"MemoryError|[Cc]annot allocate memory|can't allocate memory|out of memory|bad_alloc|ENOMEM", "out of memory"),
    (r"\(exit -\d+\)|Segmentation fault|SIGSEGV|Aborted|core dumped", "exporter crashed"),
    (r"within \d+ s$|did not convert .* within|did not end in|DeadlineExceeded", "timeout"),
    (r"torch writes no|has no torch module|is a ready graph|takes no (?:graph|file)", "not a torch module"),
    (r"the network fails on an input|NaN or infinite|forward returns", "network fails"),
    (r"ncnn cannot do|No ONNX function found|[Uu]nsupported|not exists or registered|not implemented|NotImplemented"
     r"|no (?:kernel|implementation)|does not have\b.*operator|at most four axes", "unsupported operator"),
)  # fmt: skip
_ADVICE: Mapping[str, str] = {
    "values decide": "Only what does not depend on the values can be exported: torch.where chooses between two "
    "results; or split the network there, and let the application decide.",
    "dynamic shape": "Give it a fixed size: a mask in place of a selection, torch.topk with a fixed k in place of "
    "torch.nonzero; or split the network before it.",
    "wrong numbers": "Its files are not used. Replace the operator that differs, or use another runtime.",
    "exporter crashed": "Split the network to find the operator, or use another runtime.",
    "exporter refused": "Replace that operator, split the network before it, or use another runtime.",
    "unsupported operator": "Replace that operator, split the network before it, or use another runtime.",
    "does not run": "Use another runtime, or a smaller input.",
    "out of memory": "Give it a smaller input, or close other programs.",
    "killed": "Run the same command again. If nobody ended it, give it a smaller input.",
    "timeout": "Give it more time (--deadline), or a smaller input.",
    "not installed": "Install what is missing.",
    "network fails": "Run the network by itself, on an input of that shape.",
}  # fmt: skip
_PRODUCT = "Replace the transform by products with its matrix, a constant buffer, real and imaginary part apart."
_REPLACE: Mapping[str, str] = {
    "grid_sampler": "Replace it by F.interpolate where the grid is regular.",
    "fft_fft": _PRODUCT,
    "fft_rfft": _PRODUCT,
    "fft_fft2": _PRODUCT,
    "fft_rfft2": _PRODUCT,
    "fft_fftn": _PRODUCT,
    "fft_rfftn": _PRODUCT,
    "_fft_r2c": _PRODUCT,
    "_fft_c2c": _PRODUCT,
    "stft": "Replace it by a convolution with the window's cosines and sines, or compute it before the network.",
    "linalg_inv": "Compute the inverse before the network, if it is constant, and store it as a buffer.",
    "linalg_svd": "Compute it before the network, if it is constant, and store it as a buffer.",
    "linalg_eigh": "Compute it before the network, if it is constant, and store it as a buffer.",
    "cholesky": "Compute it before the network, if it is constant, and store it as a buffer.",
    "sort": "Do it after the network, on its outputs.",
    "topk": "Do it after the network, on its outputs.",
    "argmax": "Do it after the network, on its outputs.",
    "argmin": "Do it after the network, on its outputs.",
    "nonzero": "Keep the whole tensor and multiply by a mask; select after the network.",
    "masked_select": "Keep the whole tensor and multiply by a mask; select after the network.",
    "unique": "Do it after the network, on its outputs.",
    "special_i0": "Compute it before the network, if it is constant, or use a polynomial in its place.",
    "lgamma": "Compute it before the network, if it is constant, or use a polynomial in its place.",
    "digamma": "Compute it before the network, if it is constant, or use a polynomial in its place.",
    "cdist": "Write the distance out: (x ** 2).sum(-1, keepdim=True) - 2 * x @ y.T + (y ** 2).sum(-1).",
    "fold": "Replace it by a transposed convolution with a constant weight.",
    "pad": "Put the edges together with torch.cat in place of a circular or reflecting pad.",
    "bucketize": "Replace it by a sum of comparisons: (x[..., None] > borders).sum(-1).",
    "searchsorted": "Replace it by a sum of comparisons: (x[..., None] > borders).sum(-1).",
    "cumprod": "Replace it by exp(cumsum(log(x))) where x is positive.",
    "_upsample_nearest_exact2d": "Use mode='nearest' with a whole scale; or pick the pixels by constant numbers of "
    "rows and columns: x[:, :, rows][:, :, :, columns].",
    "logsumexp": "Subtract the largest first: m = x.amax(d, keepdim=True), then m + (x - m).exp().sum(d, "
    "keepdim=True).log().",
    "erfinv": "Use a polynomial in its place, or compute it after the network.",
}
"""What is known to help for an operator, by torch's name of it."""


def diagnosed(
    error: BaseException, stage: Stage, lines: Callable[[str], Sequence[str]] = lambda _: ()
) -> Trouble:  # fmt: skip
    """What an error at that stage is about. `lines` gives the user's lines that call an operator, by torch's name."""
    texts = list(_chain(error))
    kind = _kind(error, stage, texts)
    name = _operator(texts) if kind in _OF_OPERATORS else ""
    said = _said(texts, name) or type(error).__name__
    if name and kind == "exporter refused":
        kind = "unsupported operator"
    places = tuple(dict.fromkeys(_PLACE.findall("\n".join(texts[:1]))))
    if name and not places:
        places = tuple(lines(name))
    return Trouble(
        kind=kind,
        stage=stage,
        said=_bounded(said),
        operator=visible(name[:80]),
        places=tuple(visible(_balanced(place.strip())[:240]) for place in places[:_MOST_PLACES]),
        fix=_bounded(_fix(error, kind, name)),
    )


def advice(name: str) -> str:
    """What is known to help for an operator of torch's; empty where nothing is."""
    parts = [part for part in re.split(r"\.|::", name) if part not in ("aten", "torch", "default", "Tensor")]
    joined = "_".join(parts).rstrip("_")
    return _REPLACE.get(joined) or _REPLACE.get(joined.removesuffix("_ex"), "")


def of_ending(stage: Stage, status: int, words: str, deadline_s: float | None, *, starved: bool | None) -> Trouble:
    """What it means that the process that worked on a cell ended without a result: by `deadline_s`, by a signal
    (a negative `status`) or by itself. `words` are the last that it said; `starved` says whether the system ended
    processes meanwhile because memory ended, None where it does not tell."""
    last = " | ".join(line.strip() for line in words.splitlines() if line.strip())[-MOST_SAID:]
    if deadline_s is not None:
        kind, said = "timeout", f"it did not end in {deadline_s:.0f} s and was ended at the stage {stage!r}"
    elif status == -9 and starved:
        kind, said = "out of memory", f"the system ended it (signal 9) at the stage {stage!r}: there was no more memory"
    elif status == -9:
        why = "and not the system for memory" if starved is False else "perhaps the system for memory"
        kind, said = "killed", f"something ended it (signal 9) at the stage {stage!r}, {why}"
    else:
        how = f"by signal {-status}" if status < 0 else f"with the status {status}"
        kind, said = "exporter crashed", f"the process ended {how} at the stage {stage!r}{f': {last}' if last else ''}"
        if stage in ("build", "answer"):
            kind = "network fails"
    return Trouble(kind=kind, stage=stage, said=_bounded(said), fix=_ADVICE.get(kind, ""))


def _balanced(place: str) -> str:
    """Without the bracket that the sentence around it closes."""
    return place[:-1] if place.endswith(")") and place.count(")") > place.count("(") else place


def _said(texts: Sequence[str], name: str) -> str:
    """What is said first; where that does not name the operator, with the line that does."""
    first = texts[0] if texts else ""
    if not name or name in first:
        return first
    lines = (line.strip() for text in texts[1:] for line in text.splitlines())
    return "\n".join((first[: MOST_SAID // 2], *[line for line in lines if name in line][:1]))


def _bounded(text: str) -> str:
    return visible(text[:MOST_SAID], lines=True)


def _chain(error: BaseException) -> Iterator[str]:
    """What it says, and what the errors say that it came from."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen and len(seen) < 8:
        seen.add(id(at))
        words = at.what if isinstance(at, BenchError) else f"{type(at).__name__}: {at}"
        yield _COLOUR.sub("", words).strip()[:20_000]
        at = at.__cause__ or at.__context__


def _kind(error: BaseException, stage: Stage, texts: Sequence[str]) -> str:
    if isinstance(error, ToolMissing):
        return "not installed"
    if isinstance(error, (WrongAbi, BuildFailed)):
        return "not here"
    if isinstance(error, MemoryError):
        return "out of memory"
    # What bench says itself is surer than what lies behind it.
    for text in (texts[0] if texts else "", "\n".join(texts)):
        for pattern, kind in _WORDS:
            if re.search(pattern, text):
                return kind
    if stage in ("build", "answer") or (isinstance(error, UsageError) and not isinstance(error, ExportRefused)):
        return "network fails"
    return {"convert": "exporter refused", "compare": "wrong numbers"}.get(stage, "does not run")


def _operator(texts: Sequence[str]) -> str:
    for text in texts:
        for pattern in _OPERATOR:
            if found := pattern.search(text):
                return found[1].replace("::", ".").removeprefix("torch.").removeprefix("aten.").rstrip(".'\"")
    return ""


def _fix(error: BaseException, kind: str, name: str) -> str:
    """The operator's own advice, else the error's, else that of its kind."""
    own = error.fix if isinstance(error, BenchError) else ""
    known = advice(name) if name else ""
    if known:
        return known
    return own or _ADVICE.get(kind, "")
