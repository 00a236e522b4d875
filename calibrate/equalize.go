package calibrate

import (
	"context"
	"maps"
	"math"
	"slices"

	"qpt/format/graph"
)

// Equalization across layers (Nagel et al., arXiv 1906.04721, section 4.1): where a value is only moved, added and bounded at 0 between the layers that make it
// and those that read it, its channel c may be divided by any s_c > 0, the makers' rows with it, if the readers' columns are multiplied by it.
// The paper balances the ranges of the weights on both sides, s = sqrt(r1/r2). Here weights have a scale for each row, which no division changes, and what is
// rounded by one scale for all channels is the value itself. So r1 is the largest number of a channel on calibration data, and among
//
//	s_c = r1_c^a / r2_c^b,  a, b in 0, 1/4 .. 1,  r2_c the largest weight that meets the channel
//
// those are taken which are expected to make the least noise in the readers' results, as a share of their power (noise); a = b = 0 changes nothing.

// channels are those of all values that scale together, found by union.
type channels struct {
	g      *graph.Graph
	values map[string]graph.Value
	first  map[string]int // channel 0 of a value, of all
	parent []int          // of channels ..
	group  map[string]string
	fixed  map[string]bool // .. and of values; by root: it may not scale
}

// layerOf is a layer with a matrix of its own, of a graph.
type layerOf struct {
	graph.Matrix
	node   *graph.Node
	shape  []int // [N, taps.., C/groups]
	groups int
}

// input is the channel of the input that value k of row n of the matrix meets.
func (l *layerOf) input(n, k int) int {
	per := l.shape[len(l.shape)-1]
	return n/(l.shape[0]/l.groups)*per + k%per
}

// layersOf finds the layers whose matrix and bias nothing else reads, by node.
func layersOf(g *graph.Graph) map[int]*layerOf {
	list, users, params := map[int]*layerOf{}, map[string]int{}, g.ParamMap()
	for _, n := range g.Nodes {
		for _, p := range n.Params {
			users[p]++
		}
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		m := n.Linears()
		if len(m) != 1 || m[0].Routed || users[m[0].Weight] != 1 || m[0].Bias != "" && users[m[0].Bias] != 1 {
			continue
		}
		l := &layerOf{Matrix: m[0], node: n, shape: params[m[0].Weight].Shape, groups: 1}
		switch op := n.Op.(type) {
		case graph.Conv:
			l.groups = max(op.Groups, 1)
		case graph.ConvTranspose:
			l.groups = max(op.Groups, 1)
		case graph.Linear:
		default:
			continue
		}
		list[i] = l
	}
	return list
}

// findChannels joins the channels that the ops of a graph keep apart from others.
func findChannels(g *graph.Graph, layers map[int]*layerOf) *channels {
	c := &channels{g: g, values: g.ValueMap(), first: map[string]int{}, group: map[string]string{}, fixed: map[string]bool{}}
	for _, v := range slices.Concat(g.Inputs, g.Values) {
		c.first[v.Name] = len(c.parent)
		if width := c.width(v.Name); width > 0 {
			for range width {
				c.parent = append(c.parent, len(c.parent))
			}
		} else {
			c.fixed[v.Name] = true
		}
	}
	for _, v := range g.Inputs {
		c.fix(v.Name)
	}
	for _, v := range slices.Concat(g.Outputs, g.Hidden) {
		c.fix(v)
	}
	for i := range g.Nodes {
		if layers[i] == nil && !c.keeps(&g.Nodes[i]) {
			for _, v := range slices.Concat(g.Nodes[i].In, g.Nodes[i].Out) {
				c.fix(v)
			}
		}
	}
	return c
}

// width is the channels of a value of numbers, 0 of others.
func (c *channels) width(name string) int {
	v := c.values[name]
	if len(v.Shape) == 0 || v.DType != graph.Float {
		return 0
	}
	return max(int(v.Shape[len(v.Shape)-1]), 0)
}

func (c *channels) root(i int) int {
	for c.parent[i] != i {
		c.parent[i] = c.parent[c.parent[i]]
		i = c.parent[i]
	}
	return i
}

func (c *channels) groupOf(name string) string {
	for c.group[name] != "" {
		name = c.group[name]
	}
	return name
}

func (c *channels) fix(name string) { c.fixed[c.groupOf(name)] = true }

// join lets channel j of a and channel of(j) of b scale together, for all channels of a.
func (c *channels) join(a, b string, of func(j int) int) {
	for j := range c.width(a) {
		c.parent[c.root(c.first[a]+j)] = c.root(c.first[b] + of(j))
	}
	if x, y := c.groupOf(a), c.groupOf(b); x != y {
		c.group[x] = y
		c.fixed[y] = c.fixed[y] || c.fixed[x]
	}
}

// keeps joins the channels of what a node reads and makes, if it goes with positive scales of them: f(x/s) = f(x)/s.
func (c *channels) keeps(n *graph.Node) bool {
	if len(n.In) == 0 || len(n.Out) != 1 || len(n.Params) > 0 || slices.ContainsFunc(slices.Concat(n.In, n.Out), func(v string) bool { return c.width(v) == 0 }) {
		return false
	}
	in, out := n.In[0], n.Out[0]
	same := func(j int) int { return j }
	last := func(v string) int { return len(c.values[v].Shape) - 1 }
	switch op := n.Op.(type) {
	case graph.Unary:
		if op.Func != "relu" && op.Func != "leaky_relu" && op.Func != "abs" {
			return false
		}
	case graph.Pool, graph.AdaptivePool:
	case graph.Resize:
	case graph.Pad:
		if op.Value != 0 || len(op.Pad) > 2*last(in) {
			return false
		}
	case graph.Transpose:
		if op.Perm[len(op.Perm)-1] != last(in) {
			return false
		}
	case graph.Reshape: // of rows of channels into longer or shorter ones
		a, b := c.width(in), c.width(out)
		if a%b == 0 {
			c.join(in, out, func(j int) int { return j % b })
		} else if b%a == 0 {
			c.join(out, in, func(j int) int { return j % a })
		}
		return a%b == 0 || b%a == 0
	case graph.Slice:
		if op.Axis == last(in) {
			c.join(out, in, func(j int) int { return op.From + j*max(op.Step, 1) })
			return true
		}
	case graph.Concat:
		from := 0
		for _, v := range n.In {
			at := from
			c.join(v, out, func(j int) int { return at + j })
			if op.Axis == last(out) {
				from += c.width(v)
			}
		}
		return true
	case graph.Binary:
		switch {
		case op.Scalar != nil:
			if op.Func != "mul" && op.Func != "div" {
				return false
			}
		case (op.Func == "add" || op.Func == "sub" || op.Func == "max" || op.Func == "min") && c.width(n.In[0]) == c.width(n.In[1]):
			c.join(n.In[1], out, same)
		case op.Func == "mul" && n.In[0] != n.In[1]: // a gate of numbers from elsewhere
			gate := n.In[1]
			if c.fixed[c.groupOf(in)] {
				in, gate = gate, in
			}
			if c.width(in) != c.width(out) {
				return false
			}
			c.fix(gate)
		default:
			return false
		}
	default:
		return false
	}
	c.join(in, out, same)
	return true
}

// viewer is a layer that reads a value whose channels may scale, with what is known of it on the rows.
type viewer struct {
	*layerOf
	lo, hi []float32 // of each channel of the input
	square []float64 // their mean squares
	power  float64   // of the result of a place
	places int       // seen

	most    []float32 // [N][C/groups] the greatest weight over the taps
	weights []float64 // by channel, the sum of the squares of the weights that it meets
}

// see takes in numbers of the input.
func (r *viewer) see(x []float32) {
	width := len(r.square)
	for i, v := range x {
		c := i % width
		r.square[c] += float64(v) * float64(v)
		r.lo[c], r.hi[c] = min(r.lo[c], v), max(r.hi[c], v)
	}
	r.places += len(x) / width
}

// read takes in the weights.
func (r *viewer) read(src graph.Source) error {
	n, k := r.shape[0], 1
	for _, d := range r.shape[1:] {
		k *= d
	}
	per := r.shape[len(r.shape)-1]
	w := make([]float32, n*k)
	if err := src.ReadRows(r.Weight, 0, n, w); err != nil {
		return err
	}
	r.most, r.weights = make([]float32, n*per), make([]float64, len(r.square))
	for i, v := range w {
		at := i/k*per + i%per
		r.most[at] = max(r.most[at], v, -v)
		r.weights[r.input(i/k, i%k)] += float64(v) * float64(v)
	}
	return nil
}

// noise is what rounding adds to the results where the input's channels are divided by s, as a share of their power: a step of the input's range, and a
// step of each row, spread evenly.
func (r *viewer) noise(s []float64) float64 {
	var lo, hi, act, weight float64
	for c, f := range s {
		lo, hi = min(lo, float64(r.lo[c])/f), max(hi, float64(r.hi[c])/f)
		act += r.weights[c] * f * f
	}
	n, per := r.shape[0], r.shape[len(r.shape)-1]
	taps := 1
	for _, d := range r.shape[1 : len(r.shape)-1] {
		taps *= d
	}
	for i := range n {
		var most, power float64
		for p := range per {
			c := r.input(i, p)
			most = max(most, float64(r.most[i*per+p])*s[c])
			power += r.square[c] / (s[c] * s[c])
		}
		weight += most * most * power
	}
	return (act*(hi-lo)*(hi-lo)/(255*255) + weight*float64(taps)/(127*127*float64(max(r.places, 1)))) / 12 / max(r.power, 1e-30)
}

// Equalize finds the scales: static tells which layers are rounded, by their weights. The result is the model scaled, without changing what it computes.
func Equalize(ctx context.Context, g *graph.Graph, src graph.Source, static func(weight string) bool, rows *Rows, threads int) (*Folded, error) {
	f := &Folded{Source: src, Row: map[string][]float32{}, Col: map[string][]float32{}, Value: map[string][]float32{}, Column: map[string]func(n, k int) int{}}
	layers := layersOf(g)
	ch := findChannels(g, layers)
	readers, makers := map[string][]*viewer{}, map[string][]*layerOf{} // by group
	var order []string
	byValue := map[string][]*viewer{}
	for i := range g.Nodes {
		l := layers[i]
		if l == nil {
			continue
		}
		if in := ch.groupOf(l.Input); !ch.fixed[in] {
			if readers[in] == nil {
				order = append(order, in)
			}
			width := ch.width(l.Input)
			r := &viewer{layerOf: l, lo: make([]float32, width), hi: make([]float32, width), square: make([]float64, width)}
			readers[in] = append(readers[in], r)
			byValue[l.Input] = append(byValue[l.Input], r)
			byValue[l.node.Out[0]] = append(byValue[l.node.Out[0]], r)
		}
		if out := ch.groupOf(l.node.Out[0]); !ch.fixed[out] {
			makers[out] = append(makers[out], l)
		}
	}
	err := walkRows(ctx, g, src, rows, threads, func(name string, x []float32) error {
		for _, r := range byValue[name] {
			if r.Input == name {
				r.see(x)
				continue
			}
			for _, v := range x {
				r.power += float64(v) * float64(v)
			}
		}
		return nil
	}, nil)
	if err != nil {
		return nil, err
	}
	for _, group := range order {
		list := readers[group]
		for _, r := range list {
			r.power /= float64(max(r.places, 1))
			if err := r.read(src); err != nil {
				return nil, err
			}
		}
		if scales := ch.scales(list, static); scales != nil && makers[group] != nil {
			ch.scale(f, group, list, makers[group], scales)
		}
		for _, r := range list {
			r.most, r.weights = nil, nil
		}
	}
	return f, nil
}

// scales are those of the channels that these readers see, by root; nil to leave them as they are.
func (c *channels) scales(list []*viewer, static func(weight string) bool) map[int]float64 {
	acts, weights := map[int]float64{}, map[int]float64{}
	for _, r := range list {
		for j := range r.square {
			at := c.root(c.first[r.Input] + j)
			acts[at] = max(acts[at], float64(r.hi[j]), -float64(r.lo[j]))
		}
		n, per := r.shape[0], r.shape[len(r.shape)-1]
		for i := range n * per {
			at := c.root(c.first[r.Input] + r.input(i/per, i%per))
			weights[at] = max(weights[at], float64(r.most[i]))
		}
	}
	floor := func(m map[int]float64) { // what is hardly ever there must not grow without bounds
		top := 0.0
		for _, v := range m {
			top = max(top, v)
		}
		for at, v := range m {
			m[at] = max(v, top/64, 1e-30)
		}
	}
	floor(acts)
	floor(weights)
	noise := func(s map[int]float64) (sum float64) {
		for _, r := range list {
			if !static(r.Weight) {
				continue
			}
			of := make([]float64, len(r.square))
			for j := range of {
				of[j] = s[c.root(c.first[r.Input]+j)]
			}
			sum += r.noise(of)
		}
		return sum
	}
	roots := slices.Sorted(maps.Keys(acts))
	var found map[int]float64
	best := math.Inf(1)
	for _, a := range DefaultAlpha {
		for _, b := range DefaultBeta {
			s, mean := map[int]float64{}, 0.0
			for _, at := range roots {
				s[at] = math.Pow(acts[at], a) / math.Pow(weights[at], b)
				mean += math.Log(s[at]) / float64(len(roots))
			}
			for at := range s {
				s[at] /= math.Exp(mean)
			}
			n := noise(s)
			if a == 0 && b == 0 {
				best = n * worthwhile
			} else if n < best {
				best, found = n, s
			}
		}
	}
	return found
}

// scale divides the channels of a group by s, the rows of its makers with them, and multiplies the columns of its readers.
func (c *channels) scale(f *Folded, group string, readers []*viewer, makers []*layerOf, s map[int]float64) {
	of := func(value string) []float32 {
		list := make([]float32, c.width(value))
		for j := range list {
			list[j] = 1
			if v, ok := s[c.root(c.first[value]+j)]; ok {
				list[j] = float32(v)
			}
		}
		return list
	}
	for _, v := range c.g.Values {
		if c.groupOf(v.Name) == group {
			scale(f.Value, v.Name, of(v.Name), false)
		}
	}
	for _, r := range readers {
		scale(f.Col, r.Weight, of(r.Input), false)
		f.Column[r.Weight] = r.input
	}
	for _, l := range makers {
		rows := of(l.node.Out[0])
		scale(f.Row, l.Weight, rows, true)
		if l.Bias != "" {
			scale(f.Col, l.Bias, rows, true)
		}
	}
}
