package sched

import "time"

// Pace estimates how long a pass takes from those before: what the rows of running texts take
// together, and how many rows of prompts are read in a second besides.
type Pace struct {
	decode float64 // seconds of a pass without prompts
	rate   float64 // rows of prompts a second; 0: not known
}

const (
	firstRows = 32 // of a prompt while the rate is not known
	minRows   = 16 // of a prompt: fewer would read the weights again for little
	// alone is how much longer than the gap a pass may take when no text waits for its next token: it delays whoever
	// comes or leaves meanwhile.
	alone = 4
)

// Rows is how many rows of prompts fit into a pass, beside decode rows, that is to take gap.
func (p *Pace) Rows(gap time.Duration, decode int) int {
	if p.rate == 0 {
		return firstRows
	}
	left := gap.Seconds() * alone
	if decode > 0 {
		left = gap.Seconds() - p.decode
	}
	return max(int(left*p.rate), minRows)
}

// Saw takes in the time of a pass.
func (p *Pace) Saw(decode, prompt int, took time.Duration) {
	t := took.Seconds()
	mix := func(v *float64, x float64) {
		if *v == 0 {
			*v = x
		}
		*v += 0.2 * (x - *v)
	}
	switch {
	case prompt == 0:
		mix(&p.decode, t)
	case prompt >= minRows:
		if decode > 0 {
			t -= min(p.decode, t/2)
		}
		mix(&p.rate, float64(prompt)/max(t, 1e-6))
	}
}
