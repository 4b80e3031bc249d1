"""Trains a small transformer to compare counts: a script of the Trainer, before it was ablated."""

from dataclasses import dataclass

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    HfArgumentParser,
    Trainer,
    TrainingArguments,
    set_seed,
)


@dataclass
class Model:
    """What can be said of the model on the command line."""

    layers: int = 1


def examples(many: int, seed: int) -> list[dict[str, torch.Tensor]]:
    """Return sequences of 0, 1 and 2, labelled by whether there are more 1 than 2."""
    ids = torch.randint(0, 3, (many, 15), generator=torch.Generator().manual_seed(seed))
    labels = ((ids == 1).sum(1) > (ids == 2).sum(1)).long()
    return [{"input_ids": x, "labels": y} for x, y in zip(ids, labels, strict=True)]


def measured(found):
    """Return the share of right answers."""
    return {"accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())}


model, training = HfArgumentParser((Model, TrainingArguments)).parse_args_into_dataclasses()
set_seed(training.seed)
config = BertConfig(
    vocab_size=3,
    hidden_size=16,
    intermediate_size=32,
    num_attention_heads=2,
    num_hidden_layers=model.layers,
    max_position_embeddings=16,
)
trainer = Trainer(
    model=BertForSequenceClassification(config),
    args=training,
    train_dataset=examples(128, seed=1),
    eval_dataset=examples(256, seed=2),
    compute_metrics=measured,
)
trainer.train()
