package hf

import "fmt"

// openAIGPT: OpenAIGPTLMHeadModel, the first GPT. GPT-2 with norms behind the sums, none at the end.
func openAIGPT(c *config) *Model {
	if c.string("afn", "gelu") == "gelu" { // which is its tanh form
		c.keys["afn"] = []byte(`"gelu_new"`)
	}
	s := c.shape(defaults{positions: 512, epsKey: "layer_norm_epsilon", eps: 1e-5, actKey: "afn", tied: true, bos: -1, eos: []int{}, sizes: gptSizes})
	s.inter = 4 * s.hidden
	c.int("n_ctx", s.positions, 1, maxPos)
	for _, key := range []string{"summary_type", "summary_use_proj", "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "predict_special_tokens", "n_special"} {
		c.read[key] = true // of heads that are not this one, and what transformers does not read
	}
	return s.model(c, func() *decoder {
		d := &decoder{
			vocab: s.vocab, hidden: s.hidden, embed: "transformer.tokens_embed.weight", head: s.head("lm_head", "transformer.tokens_embed.weight"),
			positions: table("transformer.positions_embed", s.positions, 0, s.hidden),
		}
		for l := range s.layers {
			at := fmt.Sprintf("transformer.h.%d", l)
			b := s.gpt2Layer(at)
			b.after = true
			d.blocks = append(d.blocks, b)
		}
		return d
	})
}
