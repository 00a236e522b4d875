package hf

import (
	"fmt"
	"math"
)

// mobileNet is what both versions read.
type mobileNet struct {
	h, w, channels int
	factor         float64
	least          int
	same           bool
	labels         []string
	b              *cnn
}

func newMobileNet(c *config) (m mobileNet, x plane) {
	m.channels = c.int("num_channels", 3, 1, maxChannels)
	m.factor, m.least = c.float("depth_multiplier", 1, 0.01, 16), c.int("min_depth", 8, 1, maxChannels)
	m.same = c.bool("tf_padding", true)
	act := c.string("hidden_act", "relu6")
	if act != "relu6" {
		act = activation(c, "hidden_act", act)
	}
	eps := c.float("layer_norm_eps", 0.001, 0, 1)
	c.float("classifier_dropout_prob", 0, 0, 1)
	m.labels = c.classes()
	m.h, m.w = c.imageSize()
	m.b, x = newCNN(m.h, m.w, m.channels)
	m.b.act, m.b.eps = act, eps
	return m, x
}

func (m *mobileNet) layer(name string, x plane, n int, act bool, w window) plane {
	w.stride, w.dilation, w.same = max(w.stride, 1), max(w.dilation, 1), m.same
	if !m.same {
		w.pad = (w.kernel - 1) / 2 * w.dilation
	}
	return m.b.layer(name, x, n, act, w)
}

// end is the head on what the last layer gives.
func (m *mobileNet) end(c *config, pool string, x plane) *Model {
	y := m.b.pooled(pool, x)
	n := len(m.labels)
	return c.finishCNN(m.b, m.b.Linear("classifier", y, m.b.Param("classifier.weight", n, x.c), m.b.Param("classifier.bias", n)), m.labels, m.h, m.w)
}

// mobileNetV1: MobileNetV1ForImageClassification: depthwise and pointwise convolutions in turns.
func mobileNetV1(c *config) *Model {
	m, x := newMobileNet(c)
	if c.err != nil {
		return nil
	}
	depth := 32
	n := max(int(float64(depth)*m.factor), m.least)
	x = m.layer("mobilenet_v1.conv_stem", x, n, true, window{kernel: 3, stride: 2})
	for i, stride := range []int{1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1} {
		if stride == 2 || i == 0 {
			depth *= 2
			n = max(int(float64(depth)*m.factor), m.least)
		}
		x = m.layer(fmt.Sprintf("mobilenet_v1.layer.%d", 2*i), x, x.c, true, window{kernel: 3, stride: stride, groups: x.c})
		x = m.layer(fmt.Sprintf("mobilenet_v1.layer.%d", 2*i+1), x, n, true, window{kernel: 1})
	}
	return m.end(c, "mobilenet_v1.pooler", x)
}

// mobileNetV2: MobileNetV2ForImageClassification: inverted residuals.
func mobileNetV2(c *config) *Model {
	m, x := newMobileNet(c)
	by, ratio := c.int("depth_divisible_by", 8, 1, 1024), c.float("expand_ratio", 6, 0.1, 64)
	most := c.int("output_stride", 32, 1, 32)
	slim, fine := c.bool("first_layer_is_expansion", true), c.bool("finegrained_output", true)
	c.read["semantic_loss_ignore_index"] = true
	if c.err != nil {
		return nil
	}
	divisible := func(v int) int {
		n := max(m.least, (v+by/2)/by*by)
		if float64(n) < 0.9*float64(v) {
			n += by
		}
		return n
	}
	times := func(n int, f float64) int { return divisible(int(math.RoundToEven(float64(n) * f))) }
	widths := []int{16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320}
	for i, n := range widths {
		widths[i] = times(n, m.factor)
	}
	const top = "mobilenet_v2."
	x = m.layer(top+"conv_stem.first_conv", x, times(32, m.factor), true, window{kernel: 3, stride: 2})
	if !slim {
		x = m.layer(top+"conv_stem.expand_1x1", x, x.c, true, window{kernel: 1})
	}
	x = m.layer(top+"conv_stem.conv_3x3", x, x.c, true, window{kernel: 3, groups: x.c})
	x = m.layer(top+"conv_stem.reduce_1x1", x, widths[0], false, window{kernel: 1})
	stride, dilation := 2, 1
	for i, s := range []int{2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1} {
		own, apart := s, 1
		if stride == most {
			own, apart = 1, dilation
			dilation *= s
		} else {
			stride *= s
		}
		at := fmt.Sprintf("%slayer.%d", top, i)
		y := m.layer(at+".expand_1x1", x, times(x.c, ratio), true, window{kernel: 1})
		y = m.layer(at+".conv_3x3", y, y.c, true, window{kernel: 3, stride: own, dilation: apart, groups: y.c})
		y = m.layer(at+".reduce_1x1", y, widths[i+1], false, window{kernel: 1})
		if own == 1 && x.c == y.c {
			y.name = m.b.Binary(at+".residual", "add", x.name, y.name)
		}
		x = y
	}
	n := 1280
	if !fine || m.factor >= 1 {
		n = times(1280, m.factor)
	}
	x = m.layer(top+"conv_1x1", x, n, true, window{kernel: 1})
	return m.end(c, top+"pooler", x)
}
