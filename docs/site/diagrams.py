"""Write the diagrams of the documentation: `python docs/site/diagrams.py` writes docs/images/*-light.svg and *-dark.svg."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

IMAGES = Path(__file__).parents[1] / "images"


@dataclass(frozen=True, kw_only=True)
class Theme:
    """The colors of a diagram: text and lines, and fill and stroke of each kind of box."""

    text: str
    line: str
    plain: tuple[str, str]
    accent: tuple[str, str]
    warning: tuple[str, str]


THEMES = {
    "light": Theme(
        text="#1f2328",
        line="#57606a",
        plain=("#f6f8fa", "#57606a"),
        accent=("#ddf4ff", "#0969da"),
        warning=("#fff8c5", "#9a6700"),
    ),
    "dark": Theme(
        text="#e6edf3",
        line="#9ea7b3",
        plain=("#21262d", "#9ea7b3"),
        accent=("#0d2847", "#58a6ff"),
        warning=("#3a2a05", "#d29922"),
    ),
}


class Diagram:
    """The elements of a diagram, which are drawn in the order of the calls."""

    def __init__(self, width: int, height: int, title: str, theme: Theme) -> None:
        """Start an empty diagram."""
        self._theme = theme
        size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        font = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
        marker = (
            'viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"'
        )
        tip = f'<path d="M0 0 8 4 0 8z" fill="{theme.line}"/>'
        self._elements = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{font}">',
            f"<title>{escape(title)}</title>",
            f'<defs><marker id="tip" {marker}>{tip}</marker></defs>',
        ]

    def text(
        self, x: float, y: float, text: str, *, size: int = 14, anchor: str = "middle"
    ) -> None:
        """Draw a line of text around or from a point."""
        weight = ' font-weight="600"' if size > 14 else ""
        self._elements.append(
            f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" fill="{self._theme.text}"{weight}>'
            f"{escape(text)}</text>"
        )

    def box(
        self, x: int, y: int, width: int, height: int, *lines: str, kind: str = "plain"
    ) -> None:
        """Draw a box; the first line of its text is bold."""
        fill, stroke = getattr(self._theme, kind)
        self._elements.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" '
            f'fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>'
        )
        middle = y + height / 2 + 5 - (len(lines) - 1) * 10
        for number, line in enumerate(lines):
            self.text(x + width / 2, middle + number * 20, line, size=14 if number else 15)

    def frame(self, x: int, y: int, width: int, height: int, title: str) -> None:
        """Draw a dashed frame with a title."""
        self._elements.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="none" '
            f'stroke="{self._theme.line}" stroke-dasharray="5 4"/>'
        )
        self.text(x + 12, y + 22, title, anchor="start")

    def arrow(self, path: str) -> None:
        """Draw a line with a tip at its end."""
        self._elements.append(
            f'<path d="{path}" fill="none" stroke="{self._theme.line}" stroke-width="1.5" marker-end="url(#tip)"/>'
        )

    def svg(self) -> str:
        """Return the file."""
        return "\n".join([*self._elements, "</svg>", ""])


def draw_flow(theme: Theme) -> Diagram:
    """Draw what a platform team and an application do."""
    diagram = Diagram(760, 400, "The flow: deploy, submit, train, serve, expire", theme)
    diagram.frame(226, 10, 524, 290, "AWS account: a stage")
    diagram.box(10, 40, 160, 64, "Platform team", "cdk deploy")
    diagram.box(
        10, 160, 160, 120, "Your application", "DSPy, Python, shell", "with the SDK", kind="accent"
    )
    diagram.box(236, 44, 150, 60, "Data bucket", "Job role")
    diagram.box(410, 44, 150, 60, "Policies", "tuner, invoker ...")
    diagram.box(584, 44, 150, 60, "Endpoint guard", kind="warning")
    diagram.box(236, 170, 150, 56, "Fine-tuning job", kind="accent")
    diagram.box(410, 170, 150, 56, "Custom model", kind="accent")
    diagram.box(584, 170, 150, 56, "Endpoint", kind="accent")
    diagram.arrow("M170 72H224")
    diagram.arrow("M170 198H234")
    diagram.text(174, 190, "submit", size=13, anchor="start")
    diagram.arrow("M311 104V168")
    diagram.text(318, 141, "dataset", size=13, anchor="start")
    diagram.arrow("M386 198H408")
    diagram.arrow("M560 198H582")
    diagram.arrow("M659 104V168")
    diagram.text(651, 141, "deletes it at its expiry", size=13, anchor="end")
    diagram.arrow("M659 226V262H172")
    diagram.text(398, 254, "answers", size=13)
    diagram.box(236, 320, 150, 56, "OpenAI")
    diagram.arrow("M90 280V348H234")
    diagram.text(164, 340, "the same code", size=13)
    diagram.text(410, 344, "The sandbox emulates all of this", anchor="start")
    diagram.text(410, 364, "on 127.0.0.1, for experiments and tests.", anchor="start")
    return diagram


def draw_packages(theme: Theme) -> Diagram:
    """Draw the layers of the packages."""
    diagram = Diagram(760, 330, "The packages and their layers", theme)
    diagram.frame(200, 10, 360, 310, "tunestack")
    layers = (
        "cli, dspy",
        "tuner",
        "jobs, endpoints, evaluation, report",
        "backends: bedrock, openai",
        "records, polling",
    )
    for number, layer in enumerate(layers):
        diagram.box(216, 42 + number * 44, 328, 36, layer)
    diagram.box(216, 266, 328, 42, "catalog, deployment, errors", kind="accent")
    diagram.box(8, 130, 180, 64, "tunestack-cdk", "constructs")
    diagram.box(572, 130, 180, 64, "tunestack-sandbox", "local AWS, OpenAI")
    diagram.arrow("M95 194V287H214")
    diagram.arrow("M665 194V287H546")
    diagram.text(105, 238, "imports", size=13, anchor="start")
    diagram.text(655, 238, "imports", size=13, anchor="end")
    return diagram


def draw_expiry(theme: Theme) -> Diagram:
    """Draw the three layers that delete endpoints that are billed by the hour."""
    diagram = Diagram(720, 300, "Three layers delete provisioned throughput", theme)
    diagram.box(10, 20, 200, 64, "1. Schedule", "before the endpoint exists")
    diagram.box(10, 118, 200, 64, "2. Rule", "every five minutes")
    diagram.box(10, 216, 200, 64, "3. Client", "when it is done", kind="accent")
    diagram.box(290, 66, 170, 64, "Endpoint guard", "reads tags and times", kind="warning")
    diagram.box(550, 118, 160, 64, "Endpoint", "billed by the hour")
    diagram.arrow("M210 52H245V88H288")
    diagram.text(218, 44, "at the expiry", size=13, anchor="start")
    diagram.arrow("M210 150H245V110H288")
    diagram.arrow("M460 98H505V140H548")
    diagram.text(468, 90, "deletes it", size=13, anchor="start")
    diagram.arrow("M210 248H630V184")
    diagram.text(420, 240, "stop_endpoint() deletes it", size=13)
    return diagram


DRAWINGS = {"flow": draw_flow, "packages": draw_packages, "expiry": draw_expiry}


def render() -> dict[str, str]:
    """Return the content of each file."""
    return {
        f"{name}-{theme}.svg": draw(colors).svg()
        for name, draw in DRAWINGS.items()
        for theme, colors in THEMES.items()
    }


if __name__ == "__main__":
    for name, text in render().items():
        (IMAGES / name).write_text(text, encoding="utf-8")
