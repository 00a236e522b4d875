package hf

import (
	"fmt"
	"slices"

	"qpt/format/graph"
)

// squeezeNet: SqueezeNet 1.0 and 1.1 under torchvision's names; no class of transformers.
func squeezeNet(c *config) *Model {
	version := c.string("version", "1_0")
	channels := c.int("num_channels", 3, 1, maxChannels)
	act := activation(c, "hidden_act", c.string("hidden_act", "relu"))
	pad := c.int("features_0_padding", 0, 0, 3)
	headPad, relu := c.int("classifier_conv_padding", 0, 0, 3), c.bool("classifier_relu_before_global_avg_pool", true)
	h, w := c.imageSize()
	labels := c.classes()
	kernel, stem, pools := 7, 96, []int{0, 5, 10}
	switch version {
	case "1_0":
	case "1_1":
		kernel, stem, pools = 3, 64, []int{0, 4, 7}
	default:
		c.unsupported("version", "%.40q; known: 1_0, 1_1", version)
	}
	p := c.object("pool")
	p.only("kind", `"max"`)
	size, stride, ceil := p.int("kernel", 3, 1, 7), p.int("stride", 2, 1, 7), p.bool("ceil_mode", true)
	var after []string
	for _, i := range pools {
		after = append(after, fmt.Sprintf("features.%d", i))
	}
	if list, ok := get[[]string](p, "after", "a list of strings"); ok && !slices.Equal(list, after) {
		c.unsupported("pool", "after %q; of version %s after %q", list, version, after)
	}
	p.finish()
	if c.err == nil {
		c.err = p.err
	}
	if c.err != nil {
		return nil
	}
	b, x := newCNN(h, w, channels)
	b.act = act
	conv := func(name string, x plane, n int, w window) plane {
		return b.unary(name+".activation", act, b.conv(name, x, n, true, w))
	}
	x = conv("features.0", x, stem, window{kernel: kernel, stride: 2, pad: pad})
	at := 2 // features 0 and 1 are the convolution and its activation
	pool := func() {
		x = b.maxPool(fmt.Sprintf("features.%d", at), x, window{kernel: size, stride: stride}, ceil)
		at++
	}
	pool()
	for i, n := range []int{16, 16, 32, 32, 48, 48, 64, 64} {
		name := fmt.Sprintf("features.%d", at)
		s := conv(name+".squeeze", x, n, window{kernel: 1})
		one := conv(name+".expand1x1", s, 4*n, window{kernel: 1})
		three := conv(name+".expand3x3", s, 4*n, window{kernel: 3, pad: 1})
		x = plane{b.Node(name+".joined", graph.Concat{Axis: 3}, []string{one.name, three.name}), s.h, s.w, 8 * n}
		at++
		if slices.Contains(pools, at-1) && i < 7 {
			pool()
		}
	}
	x = b.conv("classifier.1", x, len(labels), true, window{kernel: 1, pad: headPad})
	if relu {
		x = b.unary("classifier.2", "relu", x)
	}
	return c.finishCNN(b, b.pooled("classifier.3", x), labels, h, w)
}
