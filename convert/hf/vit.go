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
	pooler, unpooled  bool // without a head there is a layer on the class token; unless the checkpoint lacks it
	resized           bool // positions are those of image_size, resized to what the preprocessor makes of pictures
}

// vit: ViTForImageClassification, ViTModel.
func vit(c *config) *Model {
	v := visionTransformer{top: "vit.", tokens: []string{"cls_token"}, norms: [2]string{"layernorm_before", "layernorm_after"}, mlp: [2]string{"intermediate.dense", "output.dense"}, eps: 1e-12, pooler: true}
	return c.patches(v)
}

// deit: DeiTForImageClassification, and with a second head that a teacher taught; DeiTModel.
func deit(c *config) *Model {
	v := visionTransformer{top: "deit.", tokens: []string{"cls_token", "distillation_token"}, norms: [2]string{"layernorm_before", "layernorm_after"}, mlp: [2]string{"intermediate.dense", "output.dense"}, eps: 1e-12, pooler: true}
	list, _ := get[[]string](c, "architectures", "a list of strings")
	v.taught = slices.Contains(list, "DeiTForImageClassificationWithTeacher")
	return c.patches(v)
}

// dinoV2: Dinov2ForImageClassification, Dinov2Model.
func dinoV2(c *config) *Model {
	v := visionTransformer{top: "dinov2.", tokens: []string{"cls_token"}, norms: [2]string{"norm1", "norm2"}, mlp: [2]string{"mlp.fc1", "mlp.fc2"}, scales: true, eps: 1e-6, patchMean: true, resized: true}
	d := c.int("hidden_size", 768, 1, maxChannels)
	v.inner = int(float64(d) * c.float("mlp_ratio", 4, 0.01, 64))
	if v.gated = c.bool("use_swiglu_ffn", false); v.gated {
		v.inner = (int(float64(v.inner)*2/3) + 7) / 8 * 8
		v.mlp = [2]string{"mlp.weights_in", "mlp.weights_out"}
	}
	c.training("layerscale_value", "drop_path_rate", "apply_layernorm", "reshape_hidden_states", "use_mask_token", "stage_names", "out_features", "out_indices")
	return c.patches(v)
}

// patches makes the graph: patches with positions, blocks of attention and MLP behind norms, a head on the first token; of the
// classes without a head what they give, for all tokens and for the picture.
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
	c.training("hidden_dropout_prob", "attention_probs_dropout_prob", "encoder_stride")
	bare := c.bare()
	poolerWidth, poolerAct := c.int("pooler_output_size", d, 1, maxChannels), activation(c, "pooler_act", c.string("pooler_act", "tanh"))
	h, w := c.imageSize()
	grid := 0 // stored positions in a row, where they are resized
	if v.resized && c.image != nil {
		if ih, iw := c.image.Size(); ih > 0 && iw > 0 && (ih != h || iw != w) {
			if h != w {
				c.bad("image_size", "%d x %d, and the preprocessor makes pictures %d x %d: only positions of squares are resized", h, w, ih, iw)
			}
			grid, h, w = h/patch, ih, iw
		}
	}
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
	at, positions := v.top+"embeddings.position_embeddings", ""
	if grid == 0 {
		positions = rows(at, n)
	} else {
		all := rows(at, grid*grid+len(v.tokens))
		part := func(name string, from, to int) string {
			return b.Node(at+"."+name, graph.Slice{Axis: 1, From: from, To: to}, []string{all})
		}
		z := b.Node(at+".grid", graph.Reshape{Shape: []graph.Dim{1, graph.Dim(grid), graph.Dim(grid), graph.Dim(d)}}, []string{part("patches", len(v.tokens), grid*grid+len(v.tokens))})
		z = b.Node(at+".resized", graph.Resize{Mode: "cubic", Size: []int{x.h, x.w}}, []string{z})
		z = b.Node(at+".rows", graph.Reshape{Shape: []graph.Dim{1, graph.Dim(x.h * x.w), graph.Dim(d)}}, []string{z})
		positions = b.Node(at+".joined", graph.Concat{Axis: 1}, []string{part("tokens", 0, len(v.tokens)), z})
	}
	y = b.Binary(v.top+"embeddings", "add", y, positions)
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
	if bare {
		b.Output(lastHidden, y)
		y = lastHidden
	}
	// some are the rows from from to to, folded into one
	some := func(name string, from, to int) string {
		z := b.Node(name, graph.Slice{Axis: 1, From: from, To: to}, []string{y})
		if to-from > 1 {
			z = b.Node(name+".mean", graph.Reduce{Func: "mean", Axis: 1}, []string{z})
		}
		return b.Node(name+".flat", graph.Reshape{Shape: []graph.Dim{b.batch, graph.Dim(d)}}, []string{z})
	}
	logits := ""
	switch {
	case v.unpooled:
	case bare:
		first := some("class", 0, 1)
		if v.pooler {
			first = b.Node(v.top+"pooler", graph.Unary{Func: poolerAct}, []string{b.linear(v.top+"pooler.dense", first, poolerWidth, d, true)})
		}
		b.Output(pooled, first)
	case v.taught:
		sum := b.Binary("heads", "add", b.linear("cls_classifier", some("class", 0, 1), len(labels), d, true), b.linear("distillation_classifier", some("teacher", 1, 2), len(labels), d, true))
		logits = b.Scalar("classifier", "mul", sum, 0.5)
	case v.patchMean:
		both := b.Node("class.patches", graph.Concat{Axis: 1}, []string{some("class", 0, 1), some("patches", len(v.tokens), n)})
		logits = b.linear("classifier", both, len(labels), 2*d, true)
	default:
		logits = b.linear("classifier", some("class", 0, 1), len(labels), d, true)
	}
	if bare {
		labels = nil
	}
	m := c.finishCNN(b, logits, labels, h, w)
	if m != nil {
		m.prefix = v.top
		if bare && v.pooler && !v.unpooled {
			m.spare = &spare{v.top + "pooler.dense.weight", func() *graph.Graph {
				v.unpooled = true
				return c.patches(v).Graph
			}}
		}
		m.ignorable = func(tensor string) bool {
			return strings.HasSuffix(tensor, "embeddings.mask_token") || strings.HasPrefix(tensor, v.top+"pooler.")
		}
	}
	return m
}
