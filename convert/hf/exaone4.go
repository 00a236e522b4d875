package hf

import "encoding/json"

// exaone4: Exaone4ForCausalLM. Norms after; where there is a window, the layers without know no positions.
func exaone4(c *config) *Model {
	s := c.shape(defaults{kvHeads: 32, positions: 2048, epsKey: "rms_norm_eps", eps: 1e-5, bos: 0, eos: []int{2}})
	rope := ropeOf(c, s.rotary())
	window := c.window(4096)
	windows := c.windows(s.layers, window, c.pattern(s.layers, window))
	return s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for i := range d.blocks {
			b := &d.blocks[i]
			b.attn.normQK(s.eps, 0)
			if window > 0 && windows[i] == 0 {
				b.attn.rope = nil
			}
			b.normsAfter(&s)
		}
		return d.windowed(windows)
	})
}

// pattern reads sliding_window_pattern: "LLLG", repeated, the last layer being global, or how many layers until a global one.
func (c *config) pattern(layers, window int) func(l int) bool {
	var text string
	n := 4
	if raw, ok := get[json.RawMessage](c, "sliding_window_pattern", ""); ok {
		if json.Unmarshal(raw, &text) != nil && (json.Unmarshal(raw, &n) != nil || n < 0) {
			c.bad("sliding_window_pattern", "%.60s is neither a number nor a text of L and G", raw)
			n = 4
		}
	}
	return func(l int) bool {
		switch {
		case window == 0 || n == 0:
			return false
		case text != "":
			return text[l%len(text)] == 'L' && l != layers-1
		}
		return (l+1)%n != 0
	}
}
