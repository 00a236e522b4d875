package hf

import (
	"fmt"
	"math"

	"qpt/format/graph"
)

// efficientNet: EfficientNetForImageClassification, B0 to B7: inverted residuals with gates.
func efficientNet(c *config) *Model {
	channels := c.int("num_channels", 3, 1, maxChannels)
	wide, deep := c.float("width_coefficient", 2, 0.01, 16), c.float("depth_coefficient", 3.1, 0.01, 16)
	by := c.int("depth_divisor", 8, 1, 1024)
	kernels := c.ints("kernel_sizes", []int{3, 3, 5, 3, 5, 5, 3}, 1, 31)
	ins := c.ints("in_channels", []int{32, 16, 24, 40, 80, 112, 192}, 1, maxChannels)
	outs := c.ints("out_channels", []int{16, 24, 40, 80, 112, 192, 320}, 1, maxChannels)
	strides := c.ints("strides", []int{1, 2, 2, 2, 1, 2, 1}, 1, 2)
	repeats := c.ints("num_block_repeats", []int{1, 2, 2, 3, 3, 4, 1}, 1, maxDepth)
	expand := c.ints("expand_ratios", []int{1, 6, 6, 6, 6, 6, 6}, 1, 64)
	square := map[int]bool{} // blocks with the same padding on all sides
	for _, i := range c.ints("depthwise_padding", nil, 0, maxDepth) {
		square[i] = true
	}
	gate := c.float("squeeze_expansion_ratio", 0.25, 0, 16)
	act := activation(c, "hidden_act", c.string("hidden_act", "swish"))
	hidden := c.int("hidden_dim", 2560, 1, maxChannels)
	pool := c.string("pooling_type", "mean")
	eps := c.float("batch_norm_eps", 0.001, 0, 1)
	c.training("batch_norm_momentum", "dropout_rate", "drop_connect_rate", "num_hidden_layers")
	h, w := c.imageSize()
	labels := c.classes()
	for _, list := range [][]int{kernels, outs, strides, repeats, expand} {
		if c.err == nil && len(list) != len(ins) {
			c.bad("in_channels", "%d stages, another list has %d", len(ins), len(list))
		}
	}
	if pool != "mean" && pool != "max" {
		c.unsupported("pooling_type", "%.40q; known: mean, max", pool)
	}
	round := func(n int) int {
		v := float64(n) * wide
		r := max(by, int(v+float64(by)/2)/by*by)
		if float64(r) < 0.9*v {
			r += by
		}
		return r
	}
	if c.err == nil && round(1280) != hidden {
		c.bad("hidden_dim", "%d, width_coefficient makes it %d", hidden, round(1280))
	}
	if c.err != nil {
		return nil
	}
	b, x := newCNN(h, w, channels)
	b.act, b.eps = act, eps
	// pad is before and after both dimensions
	conv := func(name, norm, act string, x plane, n int, win window, before, after int) plane {
		if before+after > 0 {
			x.name = b.Node(name+".pad", graph.Pad{Pad: []int{before, after, before, after, 0, 0}, Mode: "constant"}, []string{x.name})
			x.h, x.w = x.h+before+after, x.w+before+after
		}
		if x.h < win.kernel-2*win.pad || x.w < win.kernel-2*win.pad {
			c.bad("image_size", "%d x %d, the stages leave nothing of it", h, w)
		}
		y := b.norm(norm, b.conv(name, x, n, false, win))
		if act != "" {
			y = b.unary(act, b.act, y)
		}
		return y
	}
	const top = "efficientnet."
	x = conv(top+"embeddings.convolution", top+"embeddings.batchnorm", top+"embeddings.activation", x, round(32), window{kernel: 3, stride: 2}, 0, 1)
	block := 0
	for i := range ins {
		if round(ins[i]) != x.c {
			c.bad("in_channels", "stage %d takes %d channels, the one before gives %d", i, round(ins[i]), x.c)
		}
		for j := range int(math.Ceil(deep * float64(repeats[i]))) {
			if c.err != nil || block >= maxDepth {
				return nil
			}
			at := fmt.Sprintf("%sencoder.blocks.%d.", top, block)
			stride, n, k := strides[i], round(outs[i]), kernels[i]
			if j > 0 {
				stride = 1
			}
			y := x
			if expand[i] != 1 {
				y = conv(at+"expansion.expand_conv", at+"expansion.expand_bn", at+"expansion.expand_act", y, x.c*expand[i], window{kernel: 1}, 0, 0)
			}
			own, before, after := window{kernel: k, stride: stride, groups: y.c}, 0, 0
			if stride == 2 {
				before, after = k/2-1, k/2
				if square[block] {
					before = after
				}
			} else if own.pad = k / 2; k%2 == 0 {
				c.unsupported("kernel_sizes", "%d: even kernels", k)
			}
			y = conv(at+"depthwise_conv.depthwise_conv", at+"depthwise_conv.depthwise_norm", at+"depthwise_conv.depthwise_act", y, y.c, own, max(before, 0), after)
			y = b.gate(at+"squeeze_excite.", "squeeze", "reduce", "expand", y, max(1, int(float64(x.c)*gate)), act)
			y = conv(at+"projection.project_conv", at+"projection.project_bn", "", y, n, window{kernel: 1}, 0, 0)
			if j > 0 {
				y.name = b.Binary(at+"residual", "add", y.name, x.name)
			}
			x = y
			block++
		}
	}
	x = conv(top+"encoder.top_conv", top+"encoder.top_bn", top+"encoder.top_activation", x, hidden, window{kernel: 1}, 0, 0)
	y := b.Node(top+"pooler", graph.AdaptivePool{Func: pool, Size: []int{1, 1}}, []string{x.name})
	y = b.Node(top+"pooler.flat", graph.Reshape{Shape: []graph.Dim{b.batch, graph.Dim(x.c)}}, []string{y})
	return c.finishCNN(b, b.linear("classifier", y, len(labels), x.c, true), labels, h, w)
}

// gate weighs the features of x: their means over the places, a layer of n, another back, a sigmoid.
func (b *cnn) gate(at, squeeze, reduce, expand string, x plane, n int, act string) plane {
	y := plane{b.Node(at+squeeze, graph.AdaptivePool{Func: "mean", Size: []int{1, 1}}, []string{x.name}), 1, 1, x.c}
	y = b.unary(at+reduce+".act", act, b.conv(at+reduce, y, n, true, window{kernel: 1}))
	y = b.unary(at+expand+".sigmoid", "sigmoid", b.conv(at+expand, y, x.c, true, window{kernel: 1}))
	x.name = b.Binary(at+"gated", "mul", x.name, y.name)
	return x
}
