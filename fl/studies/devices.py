"""`devices`: the same data cut over ever more owners."""

from __future__ import annotations

from fl.studies.cell import Cell
from fl.studies.show import accuracy_table, levels
from fl.studies.study import Figure, Results, Scale, Settings, Study, Table, over_seeds
from fl.studies.training import Run

COUNTS = (2, 5, 20, 100, 1000)
# A device may hold many times the nominal share, all of one label: cut at the clip, it would lose its say.
ROOMY: Settings = {"privacy.saturation": 8.0}
EXAMPLES, BATCH = 50_000, 20  # of all devices together
PARTITIONS: dict[str, Settings] = {"IID": {}} | {
    f"Dirichlet {alpha}": {**ROOMY, "task.partition": "dirichlet", "task.dirichlet_alpha": alpha}
    for alpha in (0.5, 0.1)
}
OFF: Settings = {"privacy.enabled": False}
TOGETHER: Settings = {"privacy.threat": "aggregate", "privacy.csi_margin_db": 1.0}


def configurations(scale: Scale, seed: int) -> list[Cell]:
    cells = []
    for name, partition in PARTITIONS.items():
        for devices in scale.some(COUNTS, (2,)):
            shares: Settings = {"learning.devices": devices}
            if not scale.quick:
                shares = {**shares, "task.examples_per_device": EXAMPLES // devices, "learning.batch": BATCH / devices}
            cells.append(_cell(scale, seed, f"{name}, private", devices, partition, shares))
            if name == "IID" and devices in ((2,) if scale.quick else (20, 1000)):
                cells.append(_cell(scale, seed, "IID, private together", devices, partition, shares, TOGETHER))
            if name != "Dirichlet 0.5" and devices in ((2,) if scale.quick else (5, 1000)):
                cells.append(_cell(scale, seed, f"{name}, no privacy", devices, partition, shares, OFF))
    return cells


def _cell(scale: Scale, seed: int, name: str, devices: int, *layers: Settings) -> Cell:
    return Cell({"data": name, "devices": devices}, seed, Run(scale.experiment(seed, *layers)))


def show(results: Results) -> tuple[list[Table], list[Figure]]:
    extra = (
        ("noise multiplier", "noise_multiplier"),
        ("error of the sum, dB", "aggregate_nmse_db"),
        ("training, s", "train_s"),
    )
    return [accuracy_table(results, extra)], [levels(results, "devices", "data", "number of devices", logarithmic=True)]


STUDY = Study(
    "devices",
    "what does it cost to cut the same data over more owners?",
    f"""
{EXAMPLES:,} sentences and {BATCH} expected examples a round, all devices together, whatever their number; (8, 1e-5)-DP
for every example by own noise, or none; labels alike on all devices (IID) or skewed by a Dirichlet distribution. With K
owners each protects its n = {EXAMPLES:,}/K examples alone, so the noise of the mean grows with the root of K: that is
the price of trusting nobody. *Private together* counts the noise of the others, too (threat `aggregate`, 1 dB for channel
estimates), and the mean carries about as much of it, however many they are. With 100 devices and more a
device expects less than one example a round; it then sends a whole example now and then, and noise always. Skewed shares
differ in size, too, up to eight times the nominal with 20 devices and 29 times with 1,000, so their payloads have room
for eight clips (`privacy.saturation`; `heterogeneity` shows what it is without). The channel takes P uses a round whatever K is.
""",
    lambda scale: over_seeds(scale, configurations),
    show,
)
