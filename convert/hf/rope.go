package hf

import (
	"math"
	"strings"

	"qpt/format/graph"
)

// ropeOf reads the rotary embedding in its three spellings: rope_theta with
// rope_scaling {"type": ..} (2023), with {"rope_type": ..} (2024), and
// rope_parameters holding all of it (2025). Of two, transformers 5 takes
// rope_scaling unless it is empty, rope_type, the rope_theta inside, but
// original_max_position_embeddings outside. Formulas: spec/ops.md, rope.
func ropeOf(c *config, dim, positions int) graph.RoPE {
	theta := c.float("rope_theta", 10000, 1e-3, 1e12)
	p, other := c.object("rope_scaling"), c.object("rope_parameters")
	if len(p.keys) == 0 {
		p = other
	} else if len(other.keys) > 0 {
		c.note("rope_scaling counts and rope_parameters does not, as in transformers 5")
	}
	theta = p.float("rope_theta", theta, 1e-3, 1e12)
	kind := p.string("rope_type", p.string("type", "default"))
	p.read["type"] = true
	for _, at := range []*config{c, p} {
		if f := at.float("partial_rotary_factor", 1, 0, 1); f != 1 {
			at.unsupported("partial_rotary_factor", "%v; only 1 is supported", f)
		}
	}
	original := c.int("original_max_position_embeddings", p.int("original_max_position_embeddings", positions, 1, maxPos), 1, maxPos) // of llama3 only
	// What other kinds of scaling read.
	for _, key := range strings.Fields("factor low_freq_factor high_freq_factor attention_factor beta_fast beta_slow mscale mscale_all_dim truncate short_factor long_factor finetuned") {
		p.read[key] = true
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
		rope.Dynamic = &graph.DynamicRoPE{Theta: theta, Factor: p.float("factor", mandatory, 1, 1e6), MaxPos: positions}
	case "llama3":
		factor := p.float("factor", mandatory, 1, 1e6)
		low := p.float("low_freq_factor", mandatory, 1e-3, 1e6)
		high := p.float("high_freq_factor", mandatory, 1e-3, 1e6)
		length := float64(original)
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
