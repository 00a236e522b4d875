package hf

import (
	"math"

	"qpt/format/graph"
)

// ropeOf reads the rotary embedding in its three spellings: rope_theta with
// rope_scaling {"type": ..} (2023), with {"rope_type": ..} (2024), and
// rope_parameters holding all of it (2025). Formulas: spec/ops.md, rope.
func ropeOf(c *config, dim, positions int) graph.RoPE {
	theta := c.float("rope_theta", 10000, 1e-3, 1e12)
	p := c.object("rope_scaling")
	if c.has("rope_parameters") {
		if c.has("rope_scaling") {
			c.bad("rope_parameters", "rope_scaling says the same; only one of them may be given")
		}
		p = c.object("rope_parameters")
	}
	if t := p.float("rope_theta", theta, 1e-3, 1e12); t != theta && c.has("rope_theta") {
		p.bad("rope_theta", "%v contradicts the top-level rope_theta %v", t, theta)
	} else {
		theta = t
	}
	kind := p.string("rope_type", p.string("type", "default"))
	if old := p.string("type", kind); old != kind {
		p.bad("rope_type", "%q contradicts type %q", kind, old)
	}
	if f := p.float("partial_rotary_factor", 1, 0, 1); f != 1 {
		p.unsupported("partial_rotary_factor", "%v; only 1 is supported", f)
	}

	rope := graph.RoPE{HeadDim: dim, Rotary: dim, Pairing: "half", Scale: 1}
	inv := make([]float64, dim/2)
	for i := range inv {
		inv[i] = math.Pow(theta, -float64(2*i)/float64(dim))
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
		// The length from which it scales is max_position_embeddings, as in
		// transformers, which ignores an original length here.
		if n := p.int("original_max_position_embeddings", positions, 1, maxPos); n != positions {
			p.unsupported("original_max_position_embeddings", "%d differs from max_position_embeddings %d", n, positions)
		}
		rope.Dynamic = &graph.DynamicRoPE{Theta: theta, Factor: p.float("factor", mandatory, 1, 1e6), MaxPos: positions}
	case "llama3":
		factor := p.float("factor", mandatory, 1, 1e6)
		low := p.float("low_freq_factor", mandatory, 1e-3, 1e6)
		high := p.float("high_freq_factor", mandatory, 1e-3, 1e6)
		length := float64(p.int("original_max_position_embeddings", -1, 1, maxPos))
		if high <= low {
			p.bad("high_freq_factor", "%v must be above low_freq_factor %v", high, low)
		}
		for i, f := range inv {
			turns := length * f / (2 * math.Pi) // rotations within the original length
			switch {
			case turns < low:
				inv[i] = f / factor
			case turns <= high:
				smooth := (turns - low) / (high - low)
				inv[i] = (1-smooth)*f/factor + smooth*f
			}
		}
	default:
		p.unsupported("rope_type", "%q; known: default, linear, dynamic, llama3", kind)
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
