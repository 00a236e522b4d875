package hf

import (
	"fmt"
	"math"
)

// regNet: RegNetForImageClassification, X and Y: bottlenecks of groups, with gates in Y.
func regNet(c *config) *Model {
	channels := c.int("num_channels", 3, 1, maxChannels)
	stem := c.int("embedding_size", 32, 1, maxChannels)
	widths := c.ints("hidden_sizes", []int{128, 192, 512, 1088}, 1, maxChannels)
	depths := c.ints("depths", []int{2, 6, 12, 2}, 1, maxDepth)
	group := c.int("groups_width", 64, 1, maxChannels)
	kind := c.string("layer_type", "y")
	act := activation(c, "hidden_act", c.string("hidden_act", "relu"))
	first := c.bool("downsample_in_first_stage", true)
	h, w := c.imageSize()
	labels := c.classes()
	switch {
	case c.err == nil && (len(widths) != len(depths) || len(widths) > 16):
		c.bad("depths", "%d of them, hidden_sizes has %d", len(depths), len(widths))
	case kind != "x" && kind != "y":
		c.unsupported("layer_type", "%.40q; known: x, y", kind)
	}
	for _, n := range widths {
		if g := max(1, n/group); n%g != 0 {
			c.bad("groups_width", "%d, %d channels are not %d groups", group, n, g)
		}
	}
	if c.err != nil {
		return nil
	}
	b, x := newCNN(h, w, channels)
	b.act = act
	x = b.layer("regnet.embedder.embedder", x, stem, true, window{kernel: 3, stride: 2, pad: 1})
	for s, n := range widths {
		for l := range depths[s] {
			stride := 1
			if l == 0 && (s > 0 || first) {
				stride = 2
			}
			at := fmt.Sprintf("regnet.encoder.stages.%d.layers.%d", s, l)
			part := func(i int) string { return fmt.Sprintf("%s.layer.%d", at, i) }
			y := b.layer(part(0), x, n, true, window{kernel: 1})
			y = b.layer(part(1), y, n, true, window{kernel: 3, stride: stride, pad: 1, groups: max(1, n/group)})
			last := part(2)
			if kind == "y" {
				y = b.gate(part(2)+".", "pooler", "attention.0", "attention.2", y, int(math.RoundToEven(float64(x.c)/4)), "relu")
				last = part(3)
			}
			y = b.layer(last, y, n, false, window{kernel: 1})
			short := x
			if x.c != n || stride != 1 {
				short = b.layer(at+".shortcut", x, n, false, window{kernel: 1, stride: stride})
			}
			y.name = b.Binary(at+".residual", "add", y.name, short.name)
			x = b.unary(at+".activation", act, y)
		}
	}
	y := b.pooled("regnet.pooler", x)
	return c.finishCNN(b, b.linear("classifier.1", y, len(labels), x.c, true), labels, h, w)
}
