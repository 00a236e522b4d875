package hf

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"qpt/format/graph"
)

// towers are models of pictures and text whose part for pictures is a family of its own, described by vision_config.
var towers = map[string]string{"clip": "clip_vision_model", "siglip": "siglip_vision_model"}

// tower is the config of the part for pictures of such a model, nil where its text part is meant: architectures tells, as transformers' classes of
// that name read the same folder. SigLIP's text part does not convert.
func (c *config) tower(kind string) *config {
	list, _ := get[[]string](c, "architectures", "a list of strings")
	if towers[kind] == "" || kind == "clip" && (len(list) == 0 || !strings.Contains(list[0], "Vision")) {
		return nil
	}
	v := c.object("vision_config")
	if v.keys == nil {
		v.keys = map[string]json.RawMessage{}
	}
	v.keys["model_type"] = fmt.Appendf(nil, "%q", towers[kind])
	for _, key := range []string{"architectures", "quantization_config", "compression_config"} {
		if raw, ok := c.keys[key]; ok && !v.has(key) {
			v.keys[key] = raw
		}
	}
	if c.has("vision_config_dict") { // of older files: its values count
		for key, raw := range c.object("vision_config_dict").keys {
			v.keys[key] = raw
		}
	}
	if kind == "clip" { // the projection is told outside
		if v.keys["projection_dim"] = []byte("512"); c.has("projection_dim") {
			v.keys["projection_dim"] = c.keys["projection_dim"]
		}
		v.keys["architectures"] = fmt.Appendf(nil, "[%q]", list[0])
	}
	v.note("%s is a model of pictures and text: its part for pictures alone is converted", kind)
	v.preprocessor, v.dir, v.err, v.read["model_type"] = c.preprocessor, c.dir, c.err, true
	return v
}

// clipVision: CLIPVisionModel, CLIPVisionModelWithProjection. A class token, a norm before the layers; the picture is that token, normed, and projected.
func clipVision(c *config) *Model {
	width := c.int("projection_dim", 512, 1, maxChannels)
	list, _ := get[[]string](c, "architectures", "a list of strings")
	projected := slices.ContainsFunc(list, func(a string) bool { return strings.HasSuffix(a, "WithProjection") })
	return c.towerOf("quick_gelu", 1e-5, 32, true, func(b *cnn, y string, d, heads int, eps float64, mlp func(at, x string) string) {
		b.Output(lastHidden, y)
		first := b.Node("class", graph.Slice{Axis: 1, From: 0, To: 1}, []string{lastHidden})
		first = b.layerNorm(towerTop+"post_layernorm", b.Node("class.flat", graph.Reshape{Shape: []graph.Dim{b.batch, graph.Dim(d)}}, []string{first}), d, eps)
		if projected {
			b.Output("image_embeds", b.linear("visual_projection", first, width, d, false))
		} else {
			b.Output(pooled, first)
		}
	})
}

// siglipVision: SiglipVisionModel. A picture is what a learned query of attention, with an MLP behind it, makes of the patches.
func siglipVision(c *config) *Model {
	head := c.bool("vision_use_head", true)
	return c.towerOf("gelu_pytorch_tanh", 1e-6, 16, false, func(b *cnn, y string, d, heads int, eps float64, mlp func(at, x string) string) {
		b.Output(lastHidden, b.layerNorm(towerTop+"post_layernorm", y, d, eps))
		y = lastHidden
		if !head {
			return
		}
		at := towerTop + "head."
		probe := b.View(at+"probe", graph.View{Of: at + "probe", Shape: []int{1, 1, d}, Perm: []int{0, 1, 2}}, 1, 1, d)
		row := b.Node(at+"probe.row", graph.Reshape{Shape: []graph.Dim{1, graph.Dim(d)}}, []string{b.Node(at+"probe.value", graph.Constant{}, nil, probe)})
		ask := b.Node(at+"probe.before", graph.Concat{Axis: 1}, []string{row, y}) // one for each picture
		ask = b.Node(at+"probe.each", graph.Slice{Axis: 1, From: 0, To: 1}, []string{ask})
		var qkv []string
		for i, part := range []string{"q", "k", "v"} {
			x := y
			if i == 0 {
				x = ask
			}
			in := at + "attention.in_proj_"
			w := b.View(in+part+".weight", graph.View{Of: in + "weight", Shape: []int{3 * d, d}, From: i * d}, d, d)
			qkv = append(qkv, b.Linear(at+"attention."+part, x, w, b.View(in+part+".bias", graph.View{Of: in + "bias", Shape: []int{3 * d}, From: i * d}, d)))
		}
		z := b.Node(at+"attention", graph.Attention{Heads: heads, KVHeads: heads, HeadDim: d / heads, Scale: 1 / math.Sqrt(float64(d/heads)), Mask: graph.Mask{Kind: "full"}}, qkv)
		z = b.linear(at+"attention.out_proj", z, d, d, true)
		z = b.Binary(at+"residual", "add", mlp(at, b.layerNorm(at+"layernorm", z, d, eps)), z)
		b.Output(pooled, b.Node(at+"flat", graph.Reshape{Shape: []graph.Dim{b.batch, graph.Dim(d)}}, []string{z}))
	})
}

const towerTop = "vision_model."

// towerOf makes the graph up to the last layer's result y [B, N, d], of which end makes outputs.
func (c *config) towerOf(act string, eps float64, patch int, class bool, end func(b *cnn, y string, d, heads int, eps float64, mlp func(at, x string) string)) *Model {
	channels := c.int("num_channels", 3, 1, maxChannels)
	d, layers, heads := c.int("hidden_size", 768, 1, maxChannels), c.int("num_hidden_layers", 12, 1, maxDepth), c.int("num_attention_heads", 12, 1, 1024)
	inner := c.int("intermediate_size", 3072, 1, 1<<16)
	patch = c.int("patch_size", patch, 1, 512)
	act = activation(c, "hidden_act", c.string("hidden_act", act))
	eps = c.float("layer_norm_eps", eps, 0, 1)
	c.training("initializer_factor", "projection_dim")
	if !c.has("image_size") {
		c.keys["image_size"] = []byte("224")
	}
	h, w := c.imageSize()
	if c.image != nil && c.err == nil {
		if ih, iw := c.image.Size(); ih > 0 && (ih != h || iw != w) {
			c.bad("image_size", "%d x %d, and the preprocessor makes pictures %d x %d", h, w, ih, iw)
		}
	}
	if c.err == nil && (d%heads != 0 || h < patch || w < patch) {
		c.bad("hidden_size", "%d for %d heads, patches of %d of pictures %d x %d", d, heads, patch, h, w)
	}
	if c.err != nil {
		return nil
	}
	b, x := newCNN(h, w, channels)
	b.act = act
	of := &builder{Builder: b.Builder}
	x = b.conv(towerTop+"embeddings.patch_embedding", x, d, !class, window{kernel: patch, stride: patch})
	n := x.h * x.w
	y := b.Node(towerTop+"embeddings.patches", graph.Reshape{Shape: []graph.Dim{b.batch, graph.Dim(n), graph.Dim(d)}}, []string{x.name})
	if class {
		at := towerTop + "embeddings.class_embedding"
		row := b.Node(at+".row", graph.Reshape{Shape: []graph.Dim{1, graph.Dim(d)}}, []string{b.Node(at+".value", graph.Constant{}, nil, b.Param(at, d))})
		y = b.Node(towerTop+"embeddings.tokens", graph.Concat{Axis: 1}, []string{row, y})
		n++
	}
	at := towerTop + "embeddings.position_embedding"
	y = b.Binary(towerTop+"embeddings", "add", y, b.Node(at, graph.Constant{}, nil, b.Param(at+".weight", n, d)))
	if class {
		y = b.layerNorm(towerTop+"pre_layrnorm", y, d, eps)
	}
	mlp := func(at, x string) string {
		return b.linear(at+"mlp.fc2", of.unary(at+"mlp.act", act, b.linear(at+"mlp.fc1", x, inner, d, true)), d, inner, true)
	}
	for l := range layers {
		at := fmt.Sprintf("%sencoder.layers.%d.", towerTop, l)
		z := b.layerNorm(at+"layer_norm1", y, d, eps)
		var qkv []string
		for _, part := range []string{"q_proj", "k_proj", "v_proj"} {
			qkv = append(qkv, b.linear(at+"self_attn."+part, z, d, d, true))
		}
		z = b.Node(at+"self_attn", graph.Attention{Heads: heads, KVHeads: heads, HeadDim: d / heads, Scale: 1 / math.Sqrt(float64(d/heads)), Mask: graph.Mask{Kind: "full"}}, qkv)
		y = b.Binary(at+"attn_residual", "add", b.linear(at+"self_attn.out_proj", z, d, d, true), y)
		y = b.Binary(at+"mlp_residual", "add", mlp(at, b.layerNorm(at+"layer_norm2", y, d, eps)), y)
	}
	end(b, y, d, heads, eps, mlp)
	m := c.finishCNN(b, "", nil, h, w)
	if m != nil {
		m.prefix = towerTop
		m.ignorable = func(tensor string) bool {
			return strings.HasSuffix(tensor, "embeddings.position_ids") || strings.HasPrefix(tensor, "text_model.") || slices.Contains([]string{"text_projection.weight", "visual_projection.weight", "logit_scale", "logit_bias"}, tensor)
		}
	}
	return m
}
