"""What a reader must know before the first figure."""

from __future__ import annotations

from bench.report.section import Context, Section


def section(context: Context) -> Section | None:
    """Whether the run was interrupted or has lost something, whether its phones are real, and what it noted itself."""
    run = context.run
    machines = [d.serial for d in run.devices if d.translated and d.memory_counts]
    translated = [d.serial for d in run.devices if d.translated and not d.memory_counts]
    virtual = [d.serial for d in run.devices if d.virtual]
    texts = []
    if not run.finished:
        texts.append("This run was interrupted. What had ended by then is shown; the rest was not measured.")
    texts += context.findings.missing
    if machines:
        texts.append(
            f"An emulated machine. {' and '.join(machines)} is a machine of another processor with a kernel and memory "
            "of its own. Times are meaningless and not shown; answers, sizes, memory and ends for want of it count."
        )
    if translated:
        texts.append(
            f"Translated machine code. {' and '.join(translated)} ran the program through an emulator of another "
            "processor. Times and memory are meaningless and not shown; answers and sizes count."
        )
    elif virtual and not machines:
        verb = "run" if len(virtual) > 1 else "runs"
        texts.append(
            f"Virtual phone. {' and '.join(virtual)} {verb} on the processor of this computer. "
            "Figures from there compare variants with each other; none is that of a phone."
        )
    texts += run.notes
    return Section("notices", notices=tuple(texts)) if texts else None
