"""Show how a job went: losses as charts, and a report as one HTML page.

```python
from tunestack import Tuner
from tunestack.report import create_report

report = create_report(Tuner().job("tunestack-nova-micro-..."))
Path("report.html").write_text(report.html(), encoding="utf-8")
```
"""

from tunestack.report.charts import Chart, create_charts
from tunestack.report.collect import DataProfile, JobReport, create_report
from tunestack.report.curves import Losses, Overfitting
from tunestack.report.png import png_file
from tunestack.report.scores import Score, Scores
from tunestack.report.svg import svg_file
from tunestack.report.terminal import draw_text
from tunestack.report.trackers import log_to_mlflow, log_to_wandb

__all__ = [
    "Chart",
    "DataProfile",
    "JobReport",
    "Losses",
    "Overfitting",
    "Score",
    "Scores",
    "create_charts",
    "create_report",
    "draw_text",
    "log_to_mlflow",
    "log_to_wandb",
    "png_file",
    "svg_file",
]
