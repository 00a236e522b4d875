package tokenizer

import (
	"math"
	"strconv"
	"strings"
)

// fastFloat reads a JSON number as the library does (serde_json without exact
// rounding), which may be one unit in the last place away from the nearest
// float64: equal sums of scores then differ, and ties go another way.
func fastFloat(s string) (float64, error) {
	exact, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, err
	}
	digits, rest, _ := strings.Cut(strings.ToLower(s), "e")
	exponent := 0
	if rest != "" {
		if exponent, err = strconv.Atoi(rest); err != nil {
			return exact, nil // of no effect: beyond all numbers
		}
	}
	significand, full, fraction := uint64(0), false, false
	for _, c := range strings.TrimPrefix(digits, "-") {
		if c == '.' {
			fraction = true
			continue
		}
		d := uint64(c - '0')
		if full = full || significand > (math.MaxUint64-d)/10; !full {
			significand = 10*significand + d
			if fraction {
				exponent--
			}
		} else if !fraction {
			exponent++
		}
	}
	f := float64(significand)
	for ; exponent < -308 && f != 0; exponent += 308 {
		f /= 1e308
	}
	switch {
	case f == 0:
	case exponent > 308:
		return exact, nil
	case exponent >= 0:
		f *= power10(exponent)
	default:
		f /= power10(-exponent)
	}
	return math.Copysign(f, exact), nil
}

// power10 is the float64 nearest to 10^n, for n of 0 to 308.
func power10(n int) float64 {
	p, _ := strconv.ParseFloat("1e"+strconv.Itoa(n), 64) // exactly rounded, which math.Pow10 promises not
	return p
}
