package hf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"qpt/format/graph"
)

// Bounds of networks on images.
const (
	maxImage    = 1 << 13 // extent
	maxChannels = 1 << 14
	maxClasses  = 1 << 20
	maxDepth    = 1 << 10 // layers of a stage
)

// cnn is a network on images in the making: input pixel_values [B, C, H, W], as transformers has it, output logits [B, classes].
// A plane is a value [B, h, w, c] of it.
type cnn struct {
	*graph.Builder
	batch graph.Dim
	eps   float64 // of batch norms
	act   string
}

type plane struct {
	name    string
	h, w, c int
}

// newCNN begins with the image, features last.
func newCNN(h, w, channels int) (*cnn, plane) {
	b := &cnn{Builder: graph.NewBuilder(), act: "relu", eps: 1e-5}
	b.batch = b.Symbol("B")
	x := b.Input("pixel_values", graph.Float, b.batch, graph.Dim(channels), graph.Dim(h), graph.Dim(w))
	return b, plane{b.Node("pixels", graph.Transpose{Perm: []int{0, 2, 3, 1}}, []string{x}), h, w, channels}
}

// window is a square kernel: the same padding on all sides, or with same that of TensorFlow.
type window struct {
	kernel, stride, pad, dilation int
	same                          bool
	groups                        int
}

// sides are the padding before and after a dimension of n elements.
func (w window) sides(n int) (before, after int) {
	if !w.same {
		return w.pad, w.pad
	}
	over := n % w.stride
	if over == 0 {
		over = w.stride
	}
	pad := max(w.kernel-over, 0)
	return pad / 2 * w.dilation, (pad - pad/2) * w.dilation
}

// conv is the convolution of tensors name.weight [n, c/groups, k, k] and, with bias, name.bias.
func (b *cnn) conv(name string, x plane, n int, bias bool, w window) plane {
	w.stride, w.dilation, w.groups = max(w.stride, 1), max(w.dilation, 1), max(w.groups, 1)
	op := graph.Conv{Groups: w.groups}
	if w.groups == 1 {
		op.Groups = 0
	}
	top, bottom := w.sides(x.h)
	left, right := w.sides(x.w)
	if top+bottom+left+right > 0 {
		op.Pad = []int{top, bottom, left, right}
	}
	if w.stride > 1 {
		op.Stride = []int{w.stride, w.stride}
	}
	if w.dilation > 1 {
		op.Dilation = []int{w.dilation, w.dilation}
	}
	k, c := w.kernel, x.c/w.groups
	weight := b.View(name+".weight", graph.View{Of: name + ".weight", Shape: []int{n, c, k, k}, Perm: []int{0, 2, 3, 1}}, n, k, k, c)
	at := ""
	if bias {
		at = b.Param(name+".bias", n)
	}
	span := (k-1)*w.dilation + 1
	return plane{b.Node(name, op, []string{x.name}, weight, at), (x.h+top+bottom-span)/w.stride + 1, (x.w+left+right-span)/w.stride + 1, n}
}

// norm is the batch norm of the tensors under name.
func (b *cnn) norm(name string, x plane) plane {
	p := func(part string) string { return b.Param(name+"."+part, x.c) }
	x.name = b.Node(name, graph.BatchNorm{Eps: b.eps}, []string{x.name}, p("running_mean"), p("running_var"), p("weight"), p("bias"))
	return x
}

// unary applies an activation.
func (b *cnn) unary(name, fn string, x plane) plane {
	x.name = b.Node(name, graph.Unary{Func: fn}, []string{x.name})
	return x
}

// layer is name.convolution and name.normalization, and the activation if act.
func (b *cnn) layer(name string, x plane, n int, act bool, w window) plane {
	x = b.norm(name+".normalization", b.conv(name+".convolution", x, n, false, w))
	if act {
		x = b.unary(name+".activation", b.act, x)
	}
	return x
}

// maxPool is a pool of square windows.
func (b *cnn) maxPool(name string, x plane, w window, ceil bool) plane {
	op := graph.Pool{Func: "max", Kernel: []int{w.kernel, w.kernel}, Ceil: ceil, Window: graph.Window{Stride: []int{w.stride, w.stride}}}
	if w.pad > 0 {
		op.Pad = []int{w.pad, w.pad, w.pad, w.pad}
	}
	out := func(n int) int {
		room := n + 2*w.pad - w.kernel
		o := room/w.stride + 1
		if ceil && room%w.stride != 0 && o*w.stride < n+w.pad {
			o++
		}
		return o
	}
	return plane{b.Node(name, op, []string{x.name}), out(x.h), out(x.w), x.c}
}

// pooled is the mean over all places, [B, c].
func (b *cnn) pooled(name string, x plane) string {
	y := b.Node(name, graph.AdaptivePool{Func: "mean", Size: []int{1, 1}}, []string{x.name})
	return b.Node(name+".flat", graph.Reshape{Shape: []graph.Dim{b.batch, graph.Dim(x.c)}}, []string{y})
}

// layerNorm is the layer norm over the last dimension of the tensors under name.
func (b *cnn) layerNorm(name, x string, n int, eps float64) string {
	return b.Node(name, graph.LayerNorm{Eps: eps}, []string{x}, b.Param(name+".weight", n), b.Param(name+".bias", n))
}

// linear is the layer of the tensors name.weight [n, k] and, with bias, name.bias.
func (b *cnn) linear(name, x string, n, k int, bias bool) string {
	at := ""
	weight := b.Param(name+".weight", n, k)
	if bias {
		at = b.Param(name+".bias", n)
	}
	return b.Linear(name, x, weight, at)
}

// ints is a list of integers within bounds.
func (c *config) ints(key string, def []int, least, most int) []int {
	list, ok := get[[]int](c, key, "a list of integers")
	if !ok {
		return def
	}
	for _, n := range list {
		if n < least || n > most {
			c.bad(key, "%d, must be %d to %d", n, least, most)
		}
	}
	return list
}

// training are keys that only matter for training, or for other uses than classes of pictures.
func (c *config) training(keys ...string) {
	for _, key := range keys {
		c.read[key] = true
	}
}

// classes are the names of id2label, or as many as num_labels says.
func (c *config) classes() (labels []string) {
	n := c.int("num_labels", 0, 0, maxClasses)
	of, ok := get[map[string]string](c, "id2label", "an object of strings")
	if !ok {
		if n == 0 {
			n = 2 // of PretrainedConfig
		}
		for i := range n {
			labels = append(labels, fmt.Sprintf("LABEL_%d", i))
		}
		return labels
	}
	if n != 0 && n != len(of) {
		c.bad("num_labels", "%d, id2label has %d", n, len(of))
	}
	labels = make([]string, len(of))
	for key, label := range of {
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i >= len(of) || labels[i] != "" || label == "" {
			c.bad("id2label", "%.40q: keys must be 0 to %d, each once, with a label", key, len(of)-1)
			return labels
		}
		labels[i] = label
	}
	if len(labels) == 0 || len(labels) > maxClasses {
		c.bad("id2label", "%d labels", len(labels))
	}
	return labels
}

// bare tells whether architectures names a model without a head: what gives features of pictures.
func (c *config) bare() bool {
	a, _ := get[[]string](c, "architectures", "a list of strings")
	return len(a) > 0 && !slices.ContainsFunc(a, func(name string) bool { return !strings.HasSuffix(name, "Model") })
}

// finishCNN is the model of a finished network; logits "" of one that has its outputs already.
func (c *config) finishCNN(b *cnn, logits string, labels []string, h, w int) *Model {
	if a, ok := get[[]string](c, "architectures", "a list of strings"); ok && logits != "" && len(a) > 0 && !slices.ContainsFunc(a, func(name string) bool { return strings.HasSuffix(name, "ForImageClassification") }) {
		c.note("architectures says %.100q; it is read as a classifier of images, as model_type says", a)
	}
	if c.err != nil {
		return nil
	}
	if logits != "" {
		b.Output("logits", logits)
	}
	g, err := b.Graph()
	if err != nil {
		c.bad("graph", "%v", err)
		return nil
	}
	return &Model{Graph: g, BOS: -1, Labels: labels, Image: c.picture(h, w), ignorable: func(tensor string) bool { return strings.HasSuffix(tensor, ".num_batches_tracked") }}
}
