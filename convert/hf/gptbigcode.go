package hf

import (
	"fmt"
	"math"
)

// gptBigCode: GPTBigCodeForCausalLM, StarCoder, SantaCoder. GPT-2 with one key head and matrices the usual way round.
func gptBigCode(c *config) *Model {
	s := c.shape(defaults{positions: 1024, epsKey: "layer_norm_epsilon", eps: 1e-5, actKey: "activation_function", act: "gelu_pytorch_tanh", tied: true, bos: 50256, eos: []int{50256}, sizes: gptSizes})
	single, scaled := c.bool("multi_query", true), c.bool("scale_attn_weights", true)
	if single {
		s.kvHeads = 1
	}
	for _, key := range []string{"attention_softmax_in_fp32", "scale_attention_softmax_in_fp32", "inference_runner", "validate_runner_input", "pre_allocate_kv_cache", "max_batch_size", "n_ctx",
		"summary_type", "summary_use_proj", "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "num_key_value_heads"} {
		c.read[key] = true // the same in real numbers, of heads that are not this one, of what follows from multi_query
	}
	return s.model(c, func() *decoder {
		d := &decoder{
			vocab: s.vocab, hidden: s.hidden, embed: "transformer.wte.weight", head: s.head("lm_head", "transformer.wte.weight"),
			positions: table("transformer.wpe", s.positions, 0, s.hidden), final: s.layer("transformer.ln_f"),
		}
		for l := range s.layers {
			at := fmt.Sprintf("transformer.h.%d", l)
			a := attention{name: at + ".attn", heads: s.heads, kvHeads: s.kvHeads, dim: s.headDim, scale: 1, o: plain(at+".attn.c_proj", true)}
			if scaled {
				a.scale /= math.Sqrt(float64(s.headDim))
			}
			if single {
				a.fusedQKV(at+".attn.c_attn", &s, true, false)
			} else {
				a.perHead(at+".attn.c_attn", &s, true)
			}
			d.blocks = append(d.blocks, block{at: at, attnNorm: s.layer(at + ".ln_1"), attn: a, mlpNorm: s.layer(at + ".ln_2"), mlp: s.plainMLP(at+".mlp.c_fc", at+".mlp.c_proj", true)})
		}
		return d
	})
}
