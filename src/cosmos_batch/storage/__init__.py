"""Bytes that lie elsewhere: stores of inputs and outputs, and copies of inputs on this machine."""
