"""Exponential and logarithms in LLVM's assembly, several runs at a time."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

__all__ = ["functions", "text"]

# The C library's exponential and logarithm take one number at a time. Written out in arithmetic and
# inlined they let LLVM work on several runs at once, and need no C library. The error is below two
# units in the last place.
_SHIFT = 6755399441055744.0  # 1.5 * 2**52: what is added to it is rounded to a whole number
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
# Of log((1 + s) / (1 - s)) as in fdlibm's e_log.c (Sun Microsystems 1993).
_LOG_SERIES = (
    1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
    2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01,
    6.666666666666735130e-01,
)  # fmt: skip


def _polynomial(result: str, x: str, coefficients: Sequence[float]) -> str:
    """Horner's rule, the highest power first."""
    lines, value = [], text(coefficients[0])
    for i, coefficient in enumerate(coefficients[1:], 2 - len(coefficients)):
        into = result if i == 0 else f"{result}.{-i}"
        given = f"double {value}, double {x}, double {text(coefficient)}"
        lines.append(f"  {into} = call double @llvm.fmuladd.f64({given})")
        value = into
    return "\n".join(lines)


def functions() -> str:
    """Exponential, logarithm and the logarithm of one plus a number."""
    infinite, missing = text(math.inf), text(math.nan)
    series = [1.0 / math.factorial(k) for k in range(13, -1, -1)]
    return f"""
declare double @llvm.fmuladd.f64(double, double, double)

; 2**n exp(r), where x = n log 2 + r
define internal double @exponential(double %x) alwaysinline {{
  %tiny = fcmp olt double %x, {text(-708.0)}
  %huge = fcmp ogt double %x, {text(709.0)}
  %above = select i1 %tiny, double {text(0.0)}, double %x
  %inside = select i1 %huge, double {text(0.0)}, double %above
  %scaled = fmul double %inside, {text(1 / math.log(2.0))}
  %shifted = fadd double %scaled, {text(_SHIFT)}
  %n = fsub double %shifted, {text(_SHIFT)}
  %most = call double @llvm.fmuladd.f64(double %n, double {text(-_LN2_HIGH)}, double %inside)
  %r = call double @llvm.fmuladd.f64(double %n, double {text(-_LN2_LOW)}, double %most)
{_polynomial("%series", "%r", series)}
  %whole = bitcast double %shifted to i64
  %raised = shl i64 %whole, 52
  %power = add i64 %raised, {0x3FF << 52}
  %two.to.n = bitcast i64 %power to double
  %product = fmul double %series, %two.to.n
  %low = select i1 %tiny, double {text(0.0)}, double %product
  %result = select i1 %huge, double {infinite}, double %low
  ret double %result
}}

; k log 2 + log(1 + f), where x = 2**k (1 + f) and 1 + f is within a factor sqrt(2) of one
define internal double @logarithm(double %given) alwaysinline {{
  %subnormal = fcmp olt double %given, {text(2.0**-1022)}
  %larger = fmul double %given, {text(2.0**54)}
  %x = select i1 %subnormal, double %larger, double %given
  %missing = select i1 %subnormal, double {text(_SHIFT + 1024 + 54)}, double {text(_SHIFT + 1024)}
  %bits = bitcast double %x to i64
  %apart = add i64 %bits, {(1024 << 52) - struct.unpack(">q", struct.pack(">d", 0.5**0.5))[0]}
  %exponent = lshr i64 %apart, 52
  %counted = add i64 %exponent, {0x433 << 52 | 1 << 51}
  %as.number = bitcast i64 %counted to double
  %k = fsub double %as.number, %missing
  %whole = shl i64 %exponent, 52
  %rest = sub i64 %bits, %whole
  %mantissa = add i64 %rest, {1024 << 52}
  %m = bitcast i64 %mantissa to double
  %f = fsub double %m, {text(1.0)}
  %beyond = fadd double %f, {text(2.0)}
  %s = fdiv double %f, %beyond
  %z = fmul double %s, %s
{_polynomial("%series", "%z", _LOG_SERIES)}
  %r = fmul double %series, %z
  %square = fmul double %f, %f
  %half = fmul double %square, {text(0.5)}
  %both = fadd double %half, %r
  %low = fmul double %k, {text(_LN2_LOW)}
  %small = call double @llvm.fmuladd.f64(double %s, double %both, double %low)
  %off = fsub double %half, %small
  %less = fsub double %off, %f
  %high = fmul double %k, {text(_LN2_HIGH)}
  %value = fsub double %high, %less
  %is.zero = fcmp oeq double %given, {text(0.0)}
  %is.infinite = fcmp oeq double %given, {infinite}
  %is.positive = fcmp ogt double %given, {text(0.0)}
  %positive = select i1 %is.positive, double %value, double {missing}
  %finite = select i1 %is.infinite, double {infinite}, double %positive
  %result = select i1 %is.zero, double {text(-math.inf)}, double %finite
  ret double %result
}}

; log(u) and what is lost in rounding u = 1 + y
define internal double @log_one_plus(double %y) alwaysinline {{
  %u = fadd double %y, {text(1.0)}
  %kept = fsub double %u, {text(1.0)}
  %lost = fsub double %y, %kept
  %more = fdiv double %lost, %u
  %main = call double @logarithm(double %u)
  %sum = fadd double %main, %more
  %size = call double @llvm.fabs.f64(double %main)
  %infinite = fcmp oeq double %size, {infinite}
  %result = select i1 %infinite, double %main, double %sum
  ret double %result
}}
"""


def text(number: float) -> str:
    """A number as the assembly writes it: every bit of it."""
    return "0x" + struct.pack(">d", number).hex().upper()
