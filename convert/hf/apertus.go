package hf

import (
	"strings"

	"qpt/format/graph"
)

// apertus: ApertusForCausalLM. Norms of q and k, an MLP without gate, whose activation has params.
func apertus(c *config) *Model {
	s := c.shape(defaults{positions: 65536, epsKey: "rms_norm_eps", eps: 1e-5, act: "xielu", bos: 1})
	if !c.has("rope_parameters") && !c.has("rope_scaling") && !c.has("rope_theta") {
		c.keys["rope_parameters"] = []byte(`{"rope_theta":12e6,"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":8192}`)
	}
	r := s.rotary()
	r.theta = 12e6
	rope := ropeOf(c, r)
	s.attnBias = c.bool("attention_bias", false)
	c.only("mlp_bias", "false")
	for _, key := range []string{"post_norm", "qk_norm"} {
		c.read[key] = true // which transformers does not read
	}
	m := s.model(c, func() *decoder {
		d := s.decoder(&rope)
		for i := range d.blocks {
			b := &d.blocks[i]
			b.attn.normQK(s.eps, 0)
			b.attnNorm, b.mlpNorm = s.rms(b.at+".attention_layernorm"), s.rms(b.at+".feedforward_layernorm")
			mlp := s.plainMLP(b.at+".mlp.up_proj", b.at+".mlp.down_proj", false)
			if s.act == "xielu" {
				mlp.with = xielu(b.at + ".mlp.act_fn")
			}
			b.mlp = mlp
		}
		return d
	})
	if m != nil {
		m.ignorable = func(tensor string) bool { // constants that are the same in all files
			return s.act == "xielu" && (strings.HasSuffix(tensor, ".act_fn.beta") || strings.HasSuffix(tensor, ".act_fn.eps")) || ignorable(tensor)
		}
	}
	return m
}

// xielu (arXiv 2411.13010) with the params at.alpha_p and at.alpha_n, a and n behind softplus: x/2 + a x^2 above zero, x/2 + (n + 1/2)(exp(x) - 1 - x) below.
func xielu(at string) func(b *builder, name, x string) string {
	return func(b *builder, name, x string) string {
		soft := func(of string) string {
			p := b.Node(at+of, graph.Constant{}, nil, b.Param(at+of, 1))
			return b.op(at+of+".softplus", "log", b.Scalar(at+of+".one", "add", b.op(at+of+".exp", "exp", p), 1))
		}
		above := b.Binary(name+".above", "mul", b.op(name+".relu2", "relu2", x), soft(".alpha_p"))
		low := b.Scalar(name+".low", "min", x, 0)
		curve := b.Binary(name+".curve", "sub", b.Scalar(name+".expm1", "add", b.op(name+".exp", "exp", low), -1), low)
		below := b.Binary(name+".below", "mul", curve, b.Scalar(at+".alpha_n.sum", "add", soft(".alpha_n"), 0.5))
		return b.Binary(name, "add", b.Scalar(name+".half", "mul", x, 0.5), b.Binary(name+".sum", "add", above, below))
	}
}
