package hf

import (
	"encoding/json"
	"fmt"
)

// gptNeo: GPTNeoForCausalLM, TinyStories. Learned positions, windows in every second layer, scores that are not scaled.
func gptNeo(c *config) *Model {
	s := c.shape(defaults{epsKey: "layer_norm_epsilon", eps: 1e-5, actKey: "activation_function", act: "gelu_new", tied: true, bos: 50256, eos: []int{50256},
		sizes: map[string]string{"num_hidden_layers": "num_layers", "num_attention_heads": "num_heads", "num_key_value_heads": ""}})
	window := c.int("window_size", 256, 1, maxPos)
	windows := c.gptNeoWindows(s.layers, window)
	for _, key := range []string{"summary_type", "summary_use_proj", "summary_activation", "summary_first_dropout", "summary_proj_to_labels"} {
		c.read[key] = true // of heads that are not this one
	}
	return s.model(c, func() *decoder {
		d := &decoder{
			vocab: s.vocab, hidden: s.hidden, embed: "transformer.wte.weight", head: s.head("lm_head", "transformer.wte.weight"),
			positions: table("transformer.wpe", s.positions, 0, s.hidden), final: s.layer("transformer.ln_f"),
		}
		for l := range s.layers {
			at := fmt.Sprintf("transformer.h.%d", l)
			a := s.attention(at+".attn.attention", nil, false)
			a.o, a.scale = plain(at+".attn.attention.out_proj", true), 1
			d.blocks = append(d.blocks, block{at: at, attnNorm: s.layer(at + ".ln_1"), attn: a, mlpNorm: s.layer(at + ".ln_2"), mlp: s.plainMLP(at+".mlp.c_fc", at+".mlp.c_proj", true)})
		}
		return d.windowed(windows)
	})
}

// gptNeoWindows reads attention_types, [[["global", "local"], 12]]: lists of kinds, each repeated so often. attention_layers says the
// same and does not count.
func (c *config) gptNeoWindows(layers, window int) (windows []int) {
	c.read["attention_layers"] = true
	types, ok := get[[][2]json.RawMessage](c, "attention_types", "a list of pairs")
	if !ok {
		types = [][2]json.RawMessage{{json.RawMessage(`["global","local"]`), json.RawMessage("12")}}
	}
	for _, pair := range types {
		var kinds []string
		var n int
		if json.Unmarshal(pair[0], &kinds) != nil || json.Unmarshal(pair[1], &n) != nil || n < 0 || n > maxLayers {
			c.bad("attention_types", "%.60s %.20s is not a list of kinds and how often they are repeated", pair[0], pair[1])
			return make([]int, layers)
		}
		for range n {
			for _, kind := range kinds {
				switch kind {
				case "global":
					windows = append(windows, 0)
				case "local":
					windows = append(windows, window)
				default:
					c.unsupported("attention_types", "%.60q; known: global, local", kind)
				}
			}
		}
	}
	if len(windows) != layers {
		c.bad("attention_types", "%d of them for %d layers", len(windows), layers)
		return make([]int, layers)
	}
	return windows
}
