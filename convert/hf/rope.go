package hf

import (
	"math"
	"slices"
	"strings"

	"qpt/format/graph"
)

// rotary is what a family's rotary embedding is where its config says nothing.
type rotary struct {
	dim         int     // of a head
	theta       float64 // 0: 10000
	partial     float64 // share of the head that turns where the config does not say; 0: all, whatever it says is refused
	rotated     int     // values of the head that turn, in place of partial
	odd         bool    // of an odd number of them one more turns
	interleaved bool
	positions   int // max_position_embeddings
}

// ropeOf reads the rotary embedding in its three spellings: rope_theta with
// rope_scaling {"type": ..} (2023), with {"rope_type": ..} (2024), and
// rope_parameters holding all of it (2025). Of two, transformers 5 takes
// rope_scaling unless it is empty, rope_type, the rope_theta inside, but
// original_max_position_embeddings outside. Formulas: spec/ops.md, rope.
func ropeOf(c *config, r rotary) graph.RoPE { return ropeFrom(c, ropeObject(c), r) }

// ropeObject finds which of the two objects counts.
func ropeObject(c *config) *config {
	p, other := c.object("rope_scaling"), c.object("rope_parameters")
	if len(p.keys) == 0 {
		p = other
	} else if len(other.keys) > 0 {
		c.note("rope_scaling counts and rope_parameters does not, as in transformers 5")
	}
	return p
}

// ropeFrom reads it from one object p of the config.
func ropeFrom(c, p *config, r rotary) graph.RoPE {
	if r.theta == 0 {
		r.theta = 10000
	}
	theta := p.float("rope_theta", c.float("rope_theta", r.theta, 1e-3, 1e12), 1e-3, 1e12)
	kind := p.string("rope_type", p.string("type", "default"))
	p.read["type"] = true
	rotated := r.rotated
	if rotated == 0 {
		rotated = r.dim
	}
	if r.partial == 0 {
		for _, at := range []*config{c, p} {
			if f := at.float("partial_rotary_factor", 1, 0, 1); f != 1 {
				at.unsupported("partial_rotary_factor", "%v; only 1 is supported for this model_type", f)
			}
		}
	} else {
		rotated = int(float64(r.dim) * p.float("partial_rotary_factor", c.float("partial_rotary_factor", r.partial, 0, 1), 0, 1))
	}
	if rotated < 2 || rotated%2 != 0 && (!r.odd || rotated == r.dim) {
		c.bad("head_dim", "%d must be even, 2 at least: so many values of %d turn", rotated, r.dim)
		rotated = 2
	}
	pairs := (rotated + 1) / 2
	original := c.int("original_max_position_embeddings", p.int("original_max_position_embeddings", r.positions, 1, maxPos), 1, maxPos)
	// What other kinds of scaling read.
	for _, key := range strings.Fields("factor low_freq_factor high_freq_factor attention_factor beta_fast beta_slow mscale mscale_all_dim truncate short_factor long_factor finetuned") {
		p.read[key] = true
	}

	rope := graph.RoPE{HeadDim: r.dim, Rotary: 2 * pairs, Pairing: "half", Scale: 1}
	if r.interleaved {
		rope.Pairing = "interleaved"
	}
	inv := make([]float64, pairs)
	for i := range inv {
		inv[i] = math.Pow(theta, -float64(2*i)/float64(rotated))
	}
	mandatory := math.NaN()
	switch kind {
	case "default":
	case "linear":
		factor := p.float("factor", mandatory, 1, 1e6)
		for i := range inv {
			inv[i] /= factor
		}
	case "dynamic":
		if rotated%2 != 0 {
			p.unsupported("rope_type", "dynamic, of %d values that turn; an even number is needed", rotated)
		}
		// The length from which it scales is max_position_embeddings, as in
		// transformers, which ignores an original length here.
		rope.Dynamic = &graph.DynamicRoPE{Theta: theta, Factor: p.float("factor", mandatory, 1, 1e6), MaxPos: r.positions}
	case "llama3":
		factor := p.float("factor", mandatory, 1, 1e6)
		low := p.float("low_freq_factor", mandatory, 1e-3, 1e6)
		high := p.float("high_freq_factor", mandatory, 1e-3, 1e6)
		if high <= low {
			p.bad("high_freq_factor", "%v must be above low_freq_factor %v", high, low)
		}
		for i, f := range inv {
			turns := float64(original) * f / (2 * math.Pi) // rotations within the original length
			switch {
			case turns < low:
				inv[i] = f / factor
			case turns <= high:
				smooth := (turns - low) / (high - low)
				inv[i] = (1-smooth)*f/factor + smooth*f
			}
		}
	case "yarn":
		rope.Scale = yarn(p, inv, float64(rotated), theta, original, r.positions)
	case "longrope":
		long := longrope(p, &rope, inv, original, r.positions)
		if slices.Equal(inv, long) { // so say the divisors that a GGUF file has
			break
		}
		for i, f := range long {
			long[i] = float64(float32(f))
		}
		rope.Long = &graph.LongRoPE{Freqs: long, MaxPos: original}
	default:
		p.unsupported("rope_type", "%q; known: default, linear, dynamic, llama3, yarn, longrope", kind)
	}
	for _, f := range inv {
		rope.Freqs = append(rope.Freqs, float64(float32(f)))
	}
	p.finish()
	if c.err == nil {
		c.err = p.err
	}
	return rope
}

// yarn (arXiv 2309.00071): frequencies that turn less than beta_slow times within the original
// length are divided by the factor, those that turn more than beta_fast times stay, with a ramp
// between. It changes inv and returns what sines and cosines are multiplied with.
func yarn(p *config, inv []float64, dim, theta float64, original, positions int) (scale float64) {
	factor := p.float("factor", float64(positions)/float64(original), 1, 1e6)
	at := func(turns float64) float64 { // the pair that turns so often
		return dim * math.Log(float64(original)/(turns*2*math.Pi)) / (2 * math.Log(theta))
	}
	low, high := at(p.float("beta_fast", 32, 1e-6, 1e6)), at(p.float("beta_slow", 1, 1e-6, 1e6))
	if p.bool("truncate", true) {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, dim-1)
	if low == high {
		high += 0.001
	}
	for i, f := range inv {
		stay := 1 - min(max((float64(i)-low)/(high-low), 0), 1)
		inv[i] = f/factor*(1-stay) + f*stay
	}
	m, all := p.float("mscale", 0, 0, 1e3), p.float("mscale_all_dim", 0, 0, 1e3)
	scale = yarnScale(factor, 1)
	if m != 0 && all != 0 {
		scale = yarnScale(factor, m) / yarnScale(factor, all)
	}
	return p.float("attention_factor", scale, 1e-6, 1e6)
}

func yarnScale(factor, m float64) float64 {
	if factor <= 1 {
		return 1
	}
	return 0.1*m*math.Log(factor) + 1
}

// longrope (arXiv 2402.13753): each frequency has a divisor of its own, another one once a sequence is longer
// than the original length. It changes inv to the short ones and returns the long ones.
func longrope(p *config, rope *graph.RoPE, inv []float64, original, positions int) (long []float64) {
	ratio := float64(positions) / float64(original)
	factor := p.float("factor", ratio, 1e-6, 1e6)
	scale := 1.0
	if factor > 1 {
		scale = math.Sqrt(1 + math.Log(factor)/math.Log(float64(original)))
	}
	rope.Scale = p.float("attention_factor", scale, 1e-6, 1e6)
	long = append(long, inv...)
	for _, f := range []struct {
		key string
		inv []float64
	}{{"short_factor", inv}, {"long_factor", long}} {
		list, ok := get[[]float64](p, f.key, "a list of numbers")
		if !ok || len(list) != len(inv) {
			p.bad(f.key, "must be a list of %d numbers, half the values that turn", len(inv))
			continue
		}
		for i, x := range list {
			if !(x > 0) {
				p.bad(f.key, "%v must be positive", x)
				continue
			}
			f.inv[i] /= x
		}
	}
	return long
}
