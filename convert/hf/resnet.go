package hf

import "fmt"

// resnet: ResNetForImageClassification, ResNet 18 to 152; stems of another kernel, stride or pool too.
func resnet(c *config) *Model {
	channels := c.int("num_channels", 3, 1, maxChannels)
	stem := c.int("embedding_size", 64, 1, maxChannels)
	widths, ok := get[[]int](c, "hidden_sizes", "a list of integers")
	if !ok {
		widths = []int{256, 512, 1024, 2048}
	}
	depths, ok := get[[]int](c, "depths", "a list of integers")
	if !ok {
		depths = []int{3, 4, 6, 3}
	}
	kind := c.string("layer_type", "bottleneck")
	act := activation(c, "hidden_act", c.string("hidden_act", "relu"))
	first, inner := c.bool("downsample_in_first_stage", false), c.bool("downsample_in_bottleneck", false)
	kernel, stride, pool := c.int("stem_kernel_size", 7, 1, 15), c.int("stem_stride", 2, 1, 4), c.string("stem_pool", "max")
	for _, key := range []string{"stage_names", "out_features", "out_indices"} {
		c.read[key] = true // of backbones
	}
	h, w := c.imageSize()
	labels := c.classes()
	switch {
	case len(widths) != len(depths) || len(widths) == 0 || len(widths) > 16:
		c.bad("depths", "%d of them, hidden_sizes has %d", len(depths), len(widths))
	case kind != "basic" && kind != "bottleneck":
		c.unsupported("layer_type", "%.40q; known: basic, bottleneck", kind)
	case pool != "max" && pool != "none":
		c.unsupported("stem_pool", "%.40q; known: max, none", pool)
	}
	for i := range min(len(widths), len(depths)) {
		if widths[i] < 4 || widths[i] > maxChannels || depths[i] < 1 || depths[i] > maxDepth {
			c.bad("hidden_sizes", "%d in %d layers", widths[i], depths[i])
		}
	}
	if c.err != nil {
		return nil
	}
	b, x := newCNN(h, w, channels)
	b.act = act
	x = b.layer("resnet.embedder.embedder", x, stem, true, window{kernel: kernel, stride: stride, pad: kernel / 2})
	if pool == "max" {
		x = b.maxPool("resnet.embedder.pooler", x, window{kernel: 3, stride: 2, pad: 1}, false)
	}
	for s, n := range widths {
		for l := range depths[s] {
			stride := 1
			if l == 0 && (s > 0 || first) {
				stride = 2
			}
			at := fmt.Sprintf("resnet.encoder.stages.%d.layers.%d", s, l)
			part := func(i int, y plane, n int, act bool, w window) plane {
				return b.layer(fmt.Sprintf("%s.layer.%d", at, i), y, n, act, w)
			}
			var y plane
			if kind == "basic" {
				y = part(0, x, n, true, window{kernel: 3, stride: stride, pad: 1})
				y = part(1, y, n, false, window{kernel: 3, pad: 1})
			} else {
				s1, s2 := 1, stride
				if inner {
					s1, s2 = stride, 1
				}
				y = part(0, x, n/4, true, window{kernel: 1, stride: s1})
				y = part(1, y, n/4, true, window{kernel: 3, stride: s2, pad: 1})
				y = part(2, y, n, false, window{kernel: 1})
			}
			short := x
			if x.c != n || stride != 1 {
				short = b.layer(at+".shortcut", x, n, false, window{kernel: 1, stride: stride})
			}
			y.name = b.Binary(at+".residual", "add", y.name, short.name)
			x = b.unary(at+".activation", act, y)
		}
	}
	y := b.pooled("resnet.pooler", x)
	return c.finishCNN(b, b.Linear("classifier.1", y, b.Param("classifier.1.weight", len(labels), x.c), b.Param("classifier.1.bias", len(labels))), labels, h, w)
}
