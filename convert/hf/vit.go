package hf

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"qpt/format/graph"
)

// visionTransformer is what the families of encoders of patches differ in.
type visionTransformer struct {
	top               string   // of names
	tokens            []string // before the patches, in order
	norms             [2]string
	mlp               [2]string
	inner             int  // of the MLP
	gated             bool // its first layer gives silu(a) * b, a and b side by side
	scales            bool // what a layer adds is scaled by feature
	eps               float64
	patchMean, taught bool // the head sees the mean of the patches beside the class token; there is a second head, for the second token
}

// vit: ViTForImageClassification.
func vit(c *config) *Model {
	v := visionTransformer{top: "vit.", tokens: []string{"cls_token"}, norms: [2]string{"layernorm_before", "layernorm_after"}, mlp: [2]string{"intermediate.dense", "output.dense"}, eps: 1e-12}
	return c.patches(v)
}

// deit: DeiTForImageClassification, and with a second head that a teacher taught.
func deit(c *config) *Model {
	v := visionTransformer{top: "deit.", tokens: []string{"cls_token", "distillation_token"}, norms: [2]string{"layernorm_before", "layernorm_after"}, mlp: [2]string{"intermediate.dense", "output.dense"}, eps: 1e-12}
	list, _ := get[[]string](c, "architectures", "a list of strings")
	v.taught = slices.Contains(list, "DeiTForImageClassificationWithTeacher")
	return c.patches(v)
}

// dinoV2: Dinov2ForImageClassification.
func dinoV2(c *config) *Model {
	v := visionTransformer{top: "dinov2.", tokens: []string{"cls_token"}, norms: [2]string{"norm1", "norm2"}, mlp: [2]string{"mlp.fc1", "mlp.fc2"}, scales: true, eps: 1e-6, patchMean: true}
	d := c.int("hidden_size", 768, 1, maxChannels)
	v.inner = int(float64(d) * c.float("mlp_ratio", 4, 0.01, 64))
	if v.gated = c.bool("use_swiglu_ffn", false); v.gated {
		v.inner = (int(float64(v.inner)*2/3) + 7) / 8 * 8
		v.mlp = [2]string{"mlp.weights_in", "mlp.weights_out"}
	}
	c.training("layerscale_value", "drop_path_rate", "apply_layernorm", "reshape_hidden_states", "use_mask_token", "stage_names", "out_features", "out_indices")
	return c.patches(v)
}

// patches makes the graph: patches with positions, blocks of attention and MLP behind norms, a head on the first token.
func (c *config) patches(v visionTransformer) *Model {
	channels := c.int("num_channels", 3, 1, maxChannels)
	d, layers, heads := c.int("hidden_size", 768, 1, maxChannels), c.int("num_hidden_layers", 12, 1, maxDepth), c.int("num_attention_heads", 12, 1, 1024)
	patch := c.int("patch_size", map[bool]int{true: 14, false: 16}[v.patchMean], 1, 512)
	act := activation(c, "hidden_act", c.string("hidden_act", "gelu"))
	eps := c.float("layer_norm_eps", v.eps, 0, 1)
	biased := c.bool("qkv_bias", true)
	if v.inner == 0 {
		v.inner = c.int("intermediate_size", 3072, 1, 1<<16)
	}
	c.training("hidden_dropout_prob", "attention_probs_dropout_prob", "encoder_stride", "pooler_act", "pooler_output_size")
	h, w := c.imageSize()
	labels := c.classes()
	if c.err == nil && (d%heads != 0 || h < patch || w < patch) {
		c.bad("hidden_size", "%d for %d heads, patches of %d of pictures %d x %d", d, heads, patch, h, w)
	}
	if c.err != nil {
		return nil
	}
	b, x := newCNN(h, w, channels)
	x = b.conv(v.top+"embeddings.patch_embeddings.projection", x, d, true, window{kernel: patch, stride: patch})
	n := x.h*x.w + len(v.tokens)
	rows := func(at string, n int) string {
		p := b.View(at, graph.View{Of: at, Shape: []int{1, n, d}, Perm: []int{0, 1, 2}}, 1, n, d)
		return b.Node(at+".value", graph.Constant{}, nil, p)
	}
	var parts []string
	for _, t := range v.tokens {
		one := rows(v.top+"embeddings."+t, 1)
		parts = append(parts, b.Node(v.top+"embeddings."+t+".row", graph.Reshape{Shape: []graph.Dim{1, graph.Dim(d)}}, []string{one}))
	}
	flat := b.Node(v.top+"embeddings.patches", graph.Reshape{Shape: []graph.Dim{b.batch, graph.Dim(x.h * x.w), graph.Dim(d)}}, []string{x.name})
	y := b.Node(v.top+"embeddings.tokens", graph.Concat{Axis: 1}, append(parts, flat))
	y = b.Binary(v.top+"embeddings", "add", y, rows(v.top+"embeddings.position_embeddings", n))
	for l := range layers {
		at := fmt.Sprintf("%sencoder.layer.%d.", v.top, l)
		add := func(name, y, z string) string {
			if v.scales {
				z = b.Binary(name+".scaled", "mul", z, b.Node(name+".scale", graph.Constant{}, nil, b.Param(name+".lambda1", d)))
			}
			return b.Binary(name+".residual", "add", z, y)
		}
		z := b.layerNorm(at+v.norms[0], y, d, eps)
		var qkv []string
		for _, part := range []string{"query", "key", "value"} {
			qkv = append(qkv, b.linear(at+"attention.attention."+part, z, d, d, biased))
		}
		z = b.Node(at+"attention", graph.Attention{Heads: heads, KVHeads: heads, HeadDim: d / heads, Scale: 1 / math.Sqrt(float64(d/heads)), Mask: graph.Mask{Kind: "full"}}, qkv)
		y = add(at+"layer_scale1", y, b.linear(at+"attention.output.dense", z, d, d, true))
		z = b.layerNorm(at+v.norms[1], y, d, eps)
		if v.gated {
			both := b.linear(at+v.mlp[0], z, 2*v.inner, d, true)
			half := func(i int) string {
				return b.Node(fmt.Sprintf("%s%s.half%d", at, v.mlp[0], i), graph.Slice{Axis: 2, From: i * v.inner, To: (i + 1) * v.inner}, []string{both})
			}
			z = b.Binary(at+"mlp.gated", "mul", b.Node(at+"mlp.act", graph.Unary{Func: "silu"}, []string{half(0)}), half(1))
		} else {
			z = b.Node(at+"mlp.act", graph.Unary{Func: act}, []string{b.linear(at+v.mlp[0], z, v.inner, d, true)})
		}
		y = add(at+"layer_scale2", y, b.linear(at+v.mlp[1], z, d, v.inner, true))
	}
	y = b.layerNorm(v.top+"layernorm", y, d, eps)
	// some are the rows from from to to, folded into one
	some := func(name string, from, to int) string {
		z := b.Node(name, graph.Slice{Axis: 1, From: from, To: to}, []string{y})
		if to-from > 1 {
			z = b.Node(name+".mean", graph.Reduce{Func: "mean", Axis: 1}, []string{z})
		}
		return b.Node(name+".flat", graph.Reshape{Shape: []graph.Dim{b.batch, graph.Dim(d)}}, []string{z})
	}
	first, width := some("class", 0, 1), d
	if v.patchMean {
		first, width = b.Node("class.patches", graph.Concat{Axis: 1}, []string{first, some("patches", len(v.tokens), n)}), 2*d
	}
	logits := ""
	if v.taught {
		sum := b.Binary("heads", "add", b.linear("cls_classifier", first, len(labels), width, true), b.linear("distillation_classifier", some("teacher", 1, 2), len(labels), width, true))
		logits = b.Scalar("classifier", "mul", sum, 0.5)
	} else {
		logits = b.linear("classifier", first, len(labels), width, true)
	}
	m := c.finishCNN(b, logits, labels, h, w)
	if m != nil {
		m.ignorable = func(tensor string) bool {
			return strings.HasSuffix(tensor, "embeddings.mask_token") || strings.HasPrefix(tensor, v.top+"pooler.")
		}
	}
	return m
}
