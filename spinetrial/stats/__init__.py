"""Statistics of the trial: numbers and arrays in, frozen results out.

Pure numpy and scipy: no database, clock, printing or translation. Every function takes the method by name and
every result echoes its inputs, its method and its convention. A number that cannot be estimated is an
`Estimate` without a value and with a reason, never a NaN and never an exception; input that cannot be data
(a negative count, more responders than patients) raises `ValueError`.

`VERSION` is printed in every report and rises with every change of a number.
"""

VERSION = "1.0"
