"""The study can be planned, and the network gives a logit for every class."""

from pathlib import Path

import torch
from ablation_lab.cli import main

from NAME import Network

PROJECT = Path(__file__).resolve().parents[1]


def test_the_study_can_be_planned():
    assert main(["plan", "--project", str(PROJECT)]) == 0


def test_the_network_gives_a_logit_for_every_class():
    network = Network(input_shape=(1, 8, 8), classes=10, optimizer={"learning_rate": 0.01})
    assert network(torch.zeros(3, 1, 8, 8)).shape == (3, 10)
