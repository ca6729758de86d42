"""Mixtures: sources, amounts and stages as plain values, the arithmetic behind them, and advice on what to choose."""
