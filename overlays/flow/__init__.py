"""From RTL to a bitstream with open tools: synthesis, place and route, bitstream, checks.

`python -m overlays.flow.build` does all of it; each module does one step and can be used alone.
"""
