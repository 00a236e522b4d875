package rewrite

import (
	"math"
	"slices"
	"strings"

	"qpt/format"
	"qpt/format/graph"
)

// FoldBatchNorms folds every batch norm into the linear, conv or conv_transpose that makes what it reads and whose result nothing else
// reads: with a = weight / sqrt(var + eps), rows n of the layer's matrix become W[n] * a[n] and its bias (b - mean) * a + bias, in binary64,
// rounded once. A layer without bias gets one. The params of record are in the order of the graph; src, which gives those of g, is read when the result is.
func FoldBatchNorms(g *graph.Graph, src graph.Source) (*graph.Graph, graph.Source, []format.RewrittenParam, error) {
	out := *g
	out.Nodes, out.Values, out.Params = slices.Clone(g.Nodes), slices.Clone(g.Values), slices.Clone(g.Params)
	maker, readers, users := map[string]int{}, map[string]int{}, map[string]int{}
	for i, n := range g.Nodes {
		for _, v := range n.Out {
			maker[v] = i
		}
		for _, v := range n.In {
			readers[v]++
		}
		for _, p := range n.Params {
			users[p]++
		}
	}
	params := g.ParamMap()
	s := &folded{Source: src, of: map[string]*fold{}}
	var record []format.RewrittenParam
	gone := map[int]bool{}
	for i, n := range g.Nodes {
		op, ok := n.Op.(graph.BatchNorm)
		if !ok {
			continue
		}
		at, ok := maker[n.In[0]]
		if !ok || readers[n.In[0]] != 1 || slices.Contains(g.Outputs, n.In[0]) || slices.Contains(g.Hidden, n.In[0]) {
			continue
		}
		layer := &out.Nodes[at]
		m := layer.Linears()
		if len(m) != 1 || m[0].Routed || users[m[0].Weight] != 1 || m[0].Bias != "" && users[m[0].Bias] != 1 {
			continue
		}
		f := &fold{op: op, norm: n.Params, rows: params[m[0].Weight].Shape[0], bias: m[0].Bias}
		bias := m[0].Bias
		change := format.Folded
		if bias == "" {
			bias = strings.TrimSuffix(m[0].Weight, ".weight") + ".bias"
			for _, taken := params[bias]; taken; _, taken = params[bias] {
				bias += "_"
			}
			change = format.Added
			p := graph.Param{Name: bias, Shape: []int{f.rows}}
			k := slices.IndexFunc(out.Params, func(p graph.Param) bool { return p.Name == m[0].Weight })
			out.Params = slices.Insert(out.Params, k+1, p)
			params[bias] = p
			layer.Params = slices.Clone(layer.Params)
			layer.Params[slices.Index(layer.Params, "")] = bias
		}
		record = append(record, format.RewrittenParam{Param: m[0].Weight, Change: format.Folded}, format.RewrittenParam{Param: bias, Change: change})
		layer.Out = []string{n.Out[0]}
		s.of[m[0].Weight], s.of[bias] = f, &fold{op: op, norm: n.Params, rows: f.rows, bias: m[0].Bias, is: true}
		gone[i] = true
	}
	if len(gone) == 0 {
		return g, src, nil, nil
	}
	nodes := out.Nodes[:0:0]
	used := map[string]bool{}
	values := g.ValueMap()
	out.Values = nil
	for i, n := range out.Nodes {
		if gone[i] {
			continue
		}
		nodes = append(nodes, n)
		for _, p := range n.Params {
			used[p] = true
		}
		for _, v := range n.Out {
			out.Values = append(out.Values, values[v])
		}
	}
	out.Nodes = nodes
	out.Params = slices.DeleteFunc(out.Params, func(p graph.Param) bool { return !used[p.Name] })
	return &out, s, record, out.Verify()
}

// fold is what becomes of the matrix or, with is, the bias of a layer before a batch norm.
type fold struct {
	op   graph.BatchNorm
	norm []string // its params
	rows int
	bias string // of the layer in the original, "" for none
	is   bool
}

// folded is a source whose parameters are folded.
type folded struct {
	graph.Source
	of map[string]*fold
}

// ReadRows implements graph.Source.
func (s *folded) ReadRows(name string, r0, r1 int, dst []float32) error {
	f := s.of[name]
	if f == nil {
		return s.Source.ReadRows(name, r0, r1, dst)
	}
	vector := func(name string, def float32) ([]float32, error) {
		v := make([]float32, f.rows)
		if name == "" {
			for i := range v {
				v[i] = def
			}
			return v, nil
		}
		return v, s.Source.ReadRows(name, 0, 1, v)
	}
	variance, err := vector(f.norm[1], 0)
	if err != nil {
		return err
	}
	weight, err := vector(f.norm[2], 1)
	if err != nil {
		return err
	}
	scale := make([]float64, f.rows)
	for i, v := range variance {
		scale[i] = float64(weight[i]) / math.Sqrt(float64(v)+f.op.Eps)
	}
	if !f.is {
		if err := s.Source.ReadRows(name, r0, r1, dst); err != nil {
			return err
		}
		width := len(dst) / max(r1-r0, 1)
		for i := range dst {
			dst[i] = float32(float64(dst[i]) * scale[r0+i/width])
		}
		return nil
	}
	mean, err := vector(f.norm[0], 0)
	if err != nil {
		return err
	}
	shift, err := vector(f.norm[3], 0)
	if err != nil {
		return err
	}
	bias, err := vector(f.bias, 0)
	if err != nil {
		return err
	}
	for i := range dst {
		dst[i] = float32((float64(bias[i])-float64(mean[i]))*scale[i] + float64(shift[i]))
	}
	return nil
}
