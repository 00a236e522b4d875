package hf

import (
	"fmt"

	"qpt/format/graph"
)

// convNext: ConvNextForImageClassification: patches, depthwise convolutions of 7 x 7, layer norms over the features.
func convNext(c *config) *Model { return c.convNext("convnext", false) }

// convNextV2: ConvNextV2ForImageClassification: its layers weigh features by how strong they are in the whole picture.
func convNextV2(c *config) *Model { return c.convNext("convnextv2", true) }

func (c *config) convNext(top string, responses bool) *Model {
	channels := c.int("num_channels", 3, 1, maxChannels)
	patch := c.int("patch_size", 4, 1, 64)
	stages := c.int("num_stages", 4, 1, 16)
	widths := c.ints("hidden_sizes", []int{96, 192, 384, 768}, 1, maxChannels)
	depths := c.ints("depths", []int{3, 3, 9, 3}, 1, maxDepth)
	act := activation(c, "hidden_act", c.string("hidden_act", "gelu"))
	eps := c.float("layer_norm_eps", 1e-12, 0, 1)
	scaled := false
	if !responses {
		scaled = c.float("layer_scale_init_value", 1e-6, -1e3, 1e3) > 0
	}
	c.training("drop_path_rate", "stage_names", "out_features", "out_indices")
	h, w := c.imageSize()
	labels := c.classes()
	if c.err == nil && (len(widths) != stages || len(depths) != stages) {
		c.bad("depths", "%d of them, %d hidden_sizes, num_stages is %d", len(depths), len(widths), stages)
	}
	if c.err == nil && (h < patch<<(stages-1) || w < patch<<(stages-1)) {
		c.bad("image_size", "%d x %d, the stages leave nothing of it", h, w)
	}
	if c.err != nil {
		return nil
	}
	b, x := newCNN(h, w, channels)
	norm := func(name string, x plane, eps float64) plane {
		x.name = b.layerNorm(name, x.name, x.c, eps)
		return x
	}
	x = b.conv(top+".embeddings.patch_embeddings", x, widths[0], true, window{kernel: patch, stride: patch})
	x = norm(top+".embeddings.layernorm", x, 1e-6)
	for s, n := range widths {
		stage := fmt.Sprintf("%s.encoder.stages.%d", top, s)
		if s > 0 {
			x = norm(stage+".downsampling_layer.0", x, 1e-6)
			x = b.conv(stage+".downsampling_layer.1", x, n, true, window{kernel: 2, stride: 2})
		} else if n != x.c {
			c.bad("hidden_sizes", "the first stage")
		}
		for l := range depths[s] {
			at := fmt.Sprintf("%s.layers.%d", stage, l)
			y := b.conv(at+".dwconv", x, n, true, window{kernel: 7, pad: 3, groups: n})
			y = norm(at+".layernorm", y, 1e-6)
			y.name, y.c = b.linear(at+".pwconv1", y.name, 4*n, n, true), 4*n
			y = b.unary(at+".act", act, y)
			if responses {
				y = b.responses(at+".grn", y)
			}
			y.name, y.c = b.linear(at+".pwconv2", y.name, n, 4*n, true), n
			if scaled {
				y.name = b.Binary(at+".scaled", "mul", y.name, b.Node(at+".layer_scale", graph.Constant{}, nil, b.Param(at+".layer_scale_parameter", n)))
			}
			x.name = b.Binary(at+".residual", "add", x.name, y.name)
		}
	}
	y := b.layerNorm(top+".layernorm", b.pooled(top+".pooler", x), x.c, eps)
	return c.finishCNN(b, b.linear("classifier", y, len(labels), x.c, true), labels, h, w)
}

// responses is the global response norm: each feature times its 2-norm over the places, that by the mean of all features.
func (b *cnn) responses(name string, x plane) plane {
	// the mean of the squares times the number of places is their sum
	sq := b.Binary(name+".squares", "mul", x.name, x.name)
	mean := b.Node(name+".mean", graph.AdaptivePool{Func: "mean", Size: []int{1, 1}}, []string{sq})
	length := b.Node(name+".length", graph.Unary{Func: "sqrt"}, []string{b.Scalar(name+".sum", "mul", mean, float64(x.h*x.w))})
	all := b.Node(name+".features", graph.Reduce{Func: "mean", Axis: 3}, []string{length})
	share := b.Binary(name+".share", "div", length, b.Scalar(name+".kept", "add", all, 1e-6))
	vector := func(part string) string {
		p := b.View(name+"."+part, graph.View{Of: name + "." + part, Shape: []int{1, 1, 1, x.c}, Perm: []int{0, 1, 2, 3}}, 1, 1, 1, x.c)
		return b.Node(name+"."+part+".value", graph.Constant{}, nil, p)
	}
	y := b.Binary(name+".scaled", "mul", b.Binary(name+".times", "mul", x.name, share), vector("weight"))
	x.name = b.Binary(name+".residual", "add", b.Binary(name, "add", y, vector("bias")), x.name)
	return x
}
