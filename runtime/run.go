package runtime

import (
	"context"
	"fmt"
	"math"
	"slices"

	"qpt/format/graph"
	"qpt/runtime/exec"
)

// Tensor is a dense row-major array: F or I, by its type.
type Tensor = graph.Tensor

// RunOptions of Model.Run; the zero value runs the main program.
type RunOptions struct {
	Program string // "": the main one
	Hidden  bool   // also return hidden.0, hidden.1, ..: the input of the first block and the output of each, and hidden.final
}

// Run runs a program on named inputs and returns its outputs by name.
//
// For a graph over tokens (symbol T) an input is [T, ..] for one sequence or [B, T, ..]
// for B of them, and outputs are so too; what a graph gives for a sequence, not for each token, is [..] or
// [B, ..]. The token ids may be called ids or input_ids; token_type_ids that are not given are zeros.
// attention_mask, integers [T] or [B, T], says which tokens are there
// (not 0); the others, on either side or between, are left out as if they were not in the
// input, and their rows of the outputs are zeros. Positions count the tokens that are there.
// Floats of other graphs must be finite.
func (m *Model) Run(ctx context.Context, inputs map[string]Tensor, opt RunOptions) (map[string]Tensor, error) {
	p := m.prog
	if opt.Program != "" {
		if p = m.programs[opt.Program]; p == nil {
			return nil, fmt.Errorf("%s has no program %q; it has %q", m.File.Path(), opt.Program, m.Programs())
		}
	}
	named := map[string]string{}
	for _, v := range p.Graph().Outputs {
		named[v] = v
	}
	if opt.Hidden {
		var err error
		if p, err = m.withHidden(p.Graph(), named); err != nil {
			return nil, err
		}
	}
	var out map[string]Tensor
	if slices.Contains(p.Graph().Symbols, "T") {
		var err error
		if out, err = m.runTokens(ctx, p, inputs); err != nil {
			return nil, err
		}
	} else {
		for name, x := range inputs {
			if err := CheckFinite(x); err != nil {
				return nil, fmt.Errorf("input %q: %w", name, err)
			}
		}
		out = map[string]Tensor{}
		err := m.Pass(ctx, p, &graph.Batch{Inputs: inputs}, func(list []graph.Tensor) error {
			for i, t := range list {
				out[p.Graph().Outputs[i]] = Tensor{Shape: slices.Clone(t.Shape), F: slices.Clone(t.F), I: slices.Clone(t.I)}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	results := map[string]Tensor{}
	for name, value := range named {
		results[name] = out[value]
	}
	return results, nil
}

// CheckFinite tells which of a tensor's floats is NaN or infinite, the first; nil if none is. Run checks the inputs of networks on tensors so.
func CheckFinite(x Tensor) error {
	if i := exec.NotFinite(x.F); i >= 0 {
		rows := 1
		if len(x.Shape) > 0 {
			rows = max(x.Shape[0], 1)
		}
		n := max(len(x.F)/rows, 1)
		return fmt.Errorf("value %d of row %d is %v, must be a finite number", i%n, i/n, x.F[i])
	}
	return nil
}

// withHidden is the program with the hidden states as outputs too; it adds their names to those of the values.
func (m *Model) withHidden(of *graph.Graph, named map[string]string) (*exec.Program, error) {
	if len(of.Hidden) == 0 {
		return nil, fmt.Errorf("%s does not say which values are its hidden states", m.File.Path())
	}
	g := *of
	g.Outputs = slices.Clone(g.Outputs)
	for i, v := range g.Hidden {
		name := fmt.Sprintf("hidden.%d", i)
		if i == len(g.Hidden)-1 {
			name = "hidden.final"
		}
		if named[name] = v; !slices.Contains(g.Outputs, v) {
			g.Outputs = append(g.Outputs, v)
		}
	}
	m.hiddenMu.Lock()
	defer m.hiddenMu.Unlock()
	if p := m.hidden[of]; p != nil { // a program keeps its buffers in the workspace: one for all runs
		return p, nil
	}
	p, err := exec.Compile(&g, m.w, exec.Options{})
	if err == nil {
		m.hidden[of] = p
	}
	return p, err
}

// LastHidden is the main program as far as the last hidden state: f32 [R, D], of which a language model makes its logits.
func (m *Model) LastHidden() (*exec.Program, error) {
	if len(m.Graph.Hidden) == 0 {
		return nil, fmt.Errorf("%s does not say which values are its hidden states", m.File.Path())
	}
	m.hiddenMu.Lock()
	defer m.hiddenMu.Unlock()
	if m.last != nil {
		return m.last, nil
	}
	last := m.Graph.Hidden[len(m.Graph.Hidden)-1]
	g := *m.Graph
	g.Outputs, g.Hidden, g.Nodes, g.Values, g.Params = []string{last}, nil, nil, nil, nil
	needed := map[string]bool{last: true} // values and params, which share no names
	for _, n := range slices.Backward(m.Graph.Nodes) {
		if slices.ContainsFunc(n.Out, func(v string) bool { return needed[v] }) {
			g.Nodes = append(g.Nodes, n)
			for _, v := range slices.Concat(n.In, n.Params, n.Out) {
				needed[v] = true
			}
		}
	}
	slices.Reverse(g.Nodes)
	for _, v := range m.Graph.Values {
		if needed[v.Name] {
			g.Values = append(g.Values, v)
		}
	}
	for _, p := range m.Graph.Params {
		if needed[p.Name] {
			g.Params = append(g.Params, p)
		}
	}
	var err error
	m.last, err = exec.Compile(&g, m.w, exec.Options{})
	return m.last, err
}

// tokenRows is a run of tokens of one sequence: where they lie in the inputs, all sequences one after the other.
type tokenRows []int

// runTokens is Run for a graph over tokens.
func (m *Model) runTokens(ctx context.Context, p *exec.Program, inputs map[string]Tensor) (map[string]Tensor, error) {
	g := p.Graph()
	lead, seqs, given, err := sequences(g, inputs)
	if err != nil {
		return nil, err
	}
	values := g.ValueMap()
	out := map[string]Tensor{}
	put := func(seqs []tokenRows, list []graph.Tensor) error { // of all parts of a pass, in order
		for i, name := range g.Outputs {
			t, lead, rows := list[i], lead, slices.Concat(seqs...)
			if d := values[name].Shape[0]; d < 0 && g.Symbols[-1-d] == "S" {
				rows = rows[:0]
				for _, s := range seqs {
					rows = append(rows, s[0]/lead[len(lead)-1])
				}
				lead = lead[:len(lead)-1]
			}
			if len(t.Shape) == 0 || t.Shape[0] != len(rows) || t.F == nil {
				return fmt.Errorf("output %q of shape %v is not one float row a token or sequence: run the program by exec", name, t.Shape)
			}
			to, ok := out[name]
			width := len(t.F) / len(rows)
			if !ok {
				n := width
				for _, d := range lead {
					n *= d
				}
				to = Tensor{Shape: append(slices.Clone(lead), t.Shape[1:]...), F: make([]float32, n)}
				out[name] = to
			}
			for j, r := range rows {
				copy(to.F[r*width:(r+1)*width], t.F[j*width:])
			}
		}
		return nil
	}
	for len(seqs) > 0 {
		// As many whole sequences as fit, or one in pieces.
		most, k, rows := m.PassRows(), 1, len(seqs[0])
		for k < len(seqs) && rows+len(seqs[k]) <= most {
			rows += len(seqs[k])
			k++
		}
		if k == 1 && rows > most && !p.Whole() {
			if err := m.runLong(ctx, p, seqs[0], given, most, put); err != nil {
				return nil, err
			}
		} else if err := m.runParts(ctx, p, seqs[:k], given, put); err != nil {
			return nil, err
		}
		seqs = seqs[k:]
	}
	return out, nil
}

// sequences says what the inputs hold: the extents [T] or [B, T] before the features, the
// rows that are there of each sequence, and the inputs by the graph's names.
func sequences(g *graph.Graph, inputs map[string]Tensor) (lead []int, seqs []tokenRows, given map[string]Tensor, err error) {
	given = map[string]Tensor{}
	var mask *Tensor
	for name, t := range inputs {
		in := slices.IndexFunc(g.Inputs, func(v graph.Value) bool {
			return v.Name == name || name == "input_ids" && v.Name == "ids"
		})
		var rank int
		switch {
		case in >= 0:
			rank = len(g.Inputs[in].Shape)
			given[g.Inputs[in].Name] = t
		case name == "attention_mask" && t.I != nil:
			rank, mask = 1, &t
		default:
			return nil, nil, nil, fmt.Errorf("input %q: the graph takes %s and attention_mask (integers)", name, inputNames(g))
		}
		if !filled(t) {
			return nil, nil, nil, fmt.Errorf("input %q of shape %v has %d floats and %d integers", name, t.Shape, len(t.F), len(t.I))
		}
		at := len(t.Shape) - rank
		if at != 0 && at != 1 {
			return nil, nil, nil, fmt.Errorf("input %q has shape %v: must have rank %d for one sequence or %d for several", name, t.Shape, rank, rank+1)
		}
		if lead == nil {
			lead = t.Shape[:at+1]
		} else if !slices.Equal(lead, t.Shape[:at+1]) {
			return nil, nil, nil, fmt.Errorf("input %q has shape %v, others begin with %v", name, t.Shape, lead)
		}
	}
	if lead == nil {
		return nil, nil, nil, fmt.Errorf("no inputs: the graph takes %s", inputNames(g))
	}
	const types = "token_type_ids"
	if _, ok := given[types]; !ok && slices.ContainsFunc(g.Inputs, func(v graph.Value) bool { return v.Name == types && v.DType == graph.Int }) {
		n := 1
		for _, d := range lead {
			n *= d
		}
		given[types] = Tensor{Shape: lead, I: make([]int32, n)}
	}
	b, t := 1, lead[len(lead)-1]
	if len(lead) == 2 {
		b = lead[0]
	}
	for i := range b {
		var rows tokenRows
		for r := i * t; r < (i+1)*t; r++ {
			if mask == nil || mask.I[r] != 0 {
				rows = append(rows, r)
			}
		}
		if len(rows) > 0 {
			seqs = append(seqs, rows)
		}
	}
	if len(seqs) == 0 {
		return nil, nil, nil, fmt.Errorf("there are no tokens in inputs of shape %v", lead)
	}
	return lead, seqs, given, nil
}

// filled reports whether t has as many numbers, of one type, as its shape says.
func filled(t Tensor) bool {
	n := 1
	for _, d := range t.Shape {
		if d < 0 || d > 0 && n > math.MaxInt/d {
			return false
		}
		n *= d
	}
	return n == max(len(t.F), len(t.I)) && min(len(t.F), len(t.I)) == 0
}

// inputNames lists what Run must be given.
func inputNames(g *graph.Graph) (names []string) {
	for _, in := range g.Inputs {
		if in.Name != "pos" && in.Name != "rows" {
			name := in.Name
			if name == "ids" {
				name = "input_ids" // as sequences takes it, and users know it
			}
			names = append(names, name)
		}
	}
	return names
}

// pick gathers rows of the inputs.
func pick(given map[string]Tensor, lead int, rows tokenRows) map[string]Tensor {
	list := map[string]Tensor{}
	for name, t := range given {
		x := Tensor{Shape: append([]int{len(rows)}, t.Shape[lead:]...)}
		width := 1
		for _, d := range t.Shape[lead:] {
			width *= d
		}
		for _, r := range rows {
			if t.I != nil {
				x.I = append(x.I, t.I[r*width:(r+1)*width]...)
			} else {
				x.F = append(x.F, t.F[r*width:(r+1)*width]...)
			}
		}
		list[name] = x
	}
	return list
}

// runParts runs whole sequences in one pass.
func (m *Model) runParts(ctx context.Context, p *exec.Program, seqs []tokenRows, given map[string]Tensor, put func([]tokenRows, []graph.Tensor) error) error {
	var b graph.Batch
	var all tokenRows
	for _, rows := range seqs {
		b.Parts = append(b.Parts, graph.Part{N: len(rows), Rows: upTo(len(rows))})
		all = append(all, rows...)
	}
	b.Inputs = pick(given, leading(p.Graph(), given), all)
	return m.Pass(ctx, p, &b, func(out []graph.Tensor) error { return put(seqs, out) })
}

// runLong runs one sequence in passes of at most n rows.
func (m *Model) runLong(ctx context.Context, p *exec.Program, rows tokenRows, given map[string]Tensor, n int, put func([]tokenRows, []graph.Tensor) error) error {
	seq := m.sequence(p, len(rows))
	defer seq.Close()
	end := len(rows)
	for piece := range slices.Chunk(rows, n) {
		b := graph.Batch{Parts: []graph.Part{{Seq: seq, N: len(piece), Rows: upTo(len(piece)), End: end}}, Inputs: pick(given, leading(p.Graph(), given), piece)}
		if err := m.Pass(ctx, p, &b, func(out []graph.Tensor) error { return put([]tokenRows{piece}, out) }); err != nil {
			return err
		}
	}
	return nil
}

// leading is how many extents of the given inputs count tokens: 1 for one sequence, 2 for several.
func leading(g *graph.Graph, given map[string]Tensor) int {
	for _, in := range g.Inputs {
		if t, ok := given[in.Name]; ok {
			return len(t.Shape) - len(in.Shape) + 1
		}
	}
	return 1
}

// upTo is 0, 1 .. n-1.
func upTo(n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(i)
	}
	return list
}
