package convert

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"qpt/calibrate"
	"qpt/convert/safetensors"
	"qpt/format"
	"qpt/format/graph"
	"qpt/format/rewrite"
	"qpt/kernels/linear"
	"qpt/kernels/quant"
	"qpt/runtime/picture"
)

// What is different for networks on named tensors, images mostly, in place of tokens: no text, references of rows, no
// algorithms that look at texts; batch norms are folded, and s8s8 keeps values as codes from layer to layer.

// onTensors tells whether the model takes tensors, not tokens.
func (p *Plan) onTensors() bool { return !slices.Contains(p.Model.Graph.Symbols, "T") }

// tensorAlgorithms are those of calibrate.Algorithms that networks on tensors take.
var tensorAlgorithms = []string{"equalize", "correct", "gptq", "descent"}

// forTensors settles what the recipe says of texts, and folds batch norms.
func (p *Plan) forTensors() (err error) {
	if !p.onTensors() {
		return nil
	}
	r := &p.Recipe
	how := &format.Calibration{Algorithms: []string{}}
	if p.Opt.Algorithms != "" || p.Opt.Preset != "" && p.Opt.Preset != "fast" {
		how.Algorithms, how.Sweeps, how.Damp = r.Calibration.Algorithms, r.Calibration.Sweeps, r.Calibration.Damp
	}
	for _, name := range how.Algorithms {
		if !slices.Contains(tensorAlgorithms, name) {
			return fmt.Errorf("%w: algorithms %q round the layers of language models on texts; a network on tensors takes %s (--algorithms, or --preset fast for none)", ErrUsage, how.Algorithms, strings.Join(tensorAlgorithms, ", "))
		}
	}
	r.Preset, r.Calibration = "fast", how
	r.Rules = slices.DeleteFunc(slices.Clone(r.Rules), func(x format.Rule) bool { return x.Reason == outputReason || x.Reason == embeddingReason })
	p.graph, p.src, p.folds, err = rewrite.FoldBatchNorms(p.graph, p.src)
	return err
}

// packed is the shape [N, K] of a param that is a matrix: of a convolution's [N, taps.., C/groups].
func packed(shape []int) []int {
	k := 1
	for _, d := range shape[1:] {
		k *= d
	}
	return []int{shape[0], k}
}

// depthwise finds the weights of convolutions whose every result looks at one feature.
func depthwise(g *graph.Graph) map[string]bool {
	list, params := map[string]bool{}, g.ParamMap()
	for _, n := range g.Nodes {
		groups := 0
		switch op := n.Op.(type) {
		case graph.Conv:
			groups = op.Groups
		case graph.ConvTranspose:
			groups = op.Groups
		}
		if groups > 1 {
			if s := params[n.Params[0]].Shape; s[len(s)-1] == 1 {
				list[n.Params[0]] = true
			}
		}
	}
	return list
}

const depthwiseReason = "depthwise: one feature a result, too few products for this scheme"

// kept is a value that s8s8 layers read, or that is kept as codes; its range is that of value like.
type kept struct {
	value, like string
	stored      bool
}

// keep decides which values of a network on tensors are codes: what s8s8 layers read, unless it comes from outside; through ops that
// only move or fold values what these read; and of sums in a layer's epilogue the other operand.
func keep(g *graph.Graph, static func(weight string) bool) (list []kept) {
	values, maker, readers := g.ValueMap(), map[string]int{}, map[string][]int{}
	for i, n := range g.Nodes {
		for _, v := range n.Out {
			maker[v] = i
		}
		for _, v := range n.In {
			readers[v] = append(readers[v], i)
		}
	}
	layer := func(i int) bool {
		m := g.Nodes[i].Linears()
		return len(m) == 1 && !m[0].Routed && static(m[0].Weight)
	}
	// makes tells whether a value is what a layer gives, or functions of it.
	var makes func(v string) bool
	makes = func(v string) bool {
		i, ok := maker[v]
		if !ok || slices.Contains(g.Outputs, v) {
			return false
		}
		return layer(i) || g.Nodes[i].Op.Kind() == "unary" && len(readers[g.Nodes[i].In[0]]) == 1 && makes(g.Nodes[i].In[0])
	}
	want := map[string]bool{}
	// ends tells whether a value becomes codes, at once or through functions.
	var ends func(v string) bool
	ends = func(v string) bool {
		if want[v] || len(readers[v]) != 1 {
			return want[v]
		}
		n := &g.Nodes[readers[v][0]]
		return n.Op.Kind() == "unary" && ends(n.Out[0])
	}
	codable := func(v string) bool {
		i, ok := maker[v]
		return ok && values[v].DType == graph.Float && g.Nodes[i].Op.Kind() != "constant" && !slices.Contains(g.Outputs, v)
	}
	for i, n := range slices.Backward(g.Nodes) {
		if layer(i) {
			want[n.In[0]] = true
			continue
		}
		out := n.Out[0]
		switch op := n.Op.(type) {
		case graph.Pool:
			if v := n.In[0]; want[out] {
				want[v] = want[v] || codable(v) && (op.Func == "max" || makes(v))
			}
		case graph.AdaptivePool:
			if v := n.In[0]; want[out] {
				want[v] = want[v] || codable(v) && (op.Func == "max" || makes(v))
			}
		case graph.Reshape, graph.Transpose, graph.Slice, graph.Concat, graph.Resize, graph.Pad:
			if want[out] {
				for _, v := range n.In {
					want[v] = want[v] || codable(v)
				}
			}
		case graph.Binary:
			if len(n.In) != 2 || n.In[0] == n.In[1] || !ends(out) {
				break
			}
			shape := values[out].Shape
			switch op.Func {
			case "mul":
				for _, v := range n.In {
					want[v] = want[v] || codable(v) && want[out] && slices.Equal(values[v].Shape, shape)
				}
			case "add", "sub":
				x, y := n.In[0], n.In[1]
				if maker[x] > maker[y] {
					x, y = y, x
				}
				if makes(x) && makes(y) && slices.Equal(values[x].Shape, shape) && slices.Equal(values[y].Shape, shape) {
					want[x] = true
				}
			}
		}
	}
	like := map[string]string{}
	var root func(v string) string
	root = func(v string) string {
		if w, ok := like[v]; ok {
			return root(w)
		}
		return v
	}
	for _, n := range g.Nodes {
		out := n.Out[0]
		if !want[out] || !codable(out) {
			continue
		}
		moves := false
		switch op := n.Op.(type) {
		case graph.Pool:
			moves = op.Func == "max"
		case graph.AdaptivePool:
			moves = op.Func == "max"
		case graph.Resize:
			moves = op.Mode == "nearest"
		case graph.Pad:
			moves = op.Value == 0
		case graph.Reshape, graph.Transpose, graph.Slice:
			moves = true
		case graph.Concat:
			for _, v := range n.In {
				if len(readers[v]) == 1 && want[v] && codable(v) && root(v) == v {
					like[v] = out
				}
			}
		}
		if moves && want[n.In[0]] && codable(n.In[0]) {
			like[out] = n.In[0]
		}
	}
	// takes tells whether a node reads codes of v as they are; others would rather have the exact numbers.
	takes := func(i int, v string) bool {
		n := &g.Nodes[i]
		switch op := n.Op.(type) {
		case graph.Pool, graph.AdaptivePool, graph.Reshape, graph.Transpose, graph.Slice, graph.Concat, graph.Pad:
			return want[n.Out[0]]
		case graph.Resize:
			return want[n.Out[0]] && op.Mode == "nearest"
		case graph.Binary:
			if len(n.In) != 2 {
				return false
			}
			other := n.In[0]
			if other == v {
				other = n.In[1]
			}
			at, ok := maker[other]
			return op.Func == "mul" && want[n.Out[0]] || op.Func == "add" && ok && layer(at) && len(readers[other]) == 1 && ends(n.Out[0])
		}
		return layer(i)
	}
	reads := map[string]bool{} // by layers
	for i, n := range g.Nodes {
		if layer(i) {
			reads[n.In[0]] = true
		}
	}
	for _, v := range slices.Concat(g.Inputs, g.Values) {
		if !want[v.Name] {
			continue
		}
		stored := codable(v.Name) && !slices.ContainsFunc(readers[v.Name], func(i int) bool { return !takes(i, v.Name) })
		if stored || reads[v.Name] {
			list = append(list, kept{v.Name, root(v.Name), stored})
		}
	}
	return list
}

// observeTensors finds the ranges of the values that a network on tensors keeps as codes.
func (p *Plan) observeTensors(ctx context.Context, h Hooks) (*calibration, error) {
	if p.Recipe.Scheme == "keep" && len(p.folder.Static) > 0 {
		return p.keptStatic(), nil
	}
	static := map[string]bool{}
	for _, it := range p.Items {
		static[it.Name] = it.Scheme == "s8s8"
	}
	list := keep(p.graph, func(w string) bool { return static[w] })
	if len(list) == 0 {
		return nil, nil
	}
	rows, err := p.calibrationRows()
	if err != nil {
		return nil, err
	}
	p.rows = rows
	plain := &calibrate.Folded{Source: p.src}
	if !slices.Contains(p.Recipe.Calibration.Algorithms, "equalize") {
		return p.calibrateTensors(ctx, h, plain, list, rows, rows)
	}
	// It is judged on rows that it has not seen: ranges say most of those that they are from.
	a, b := rows, rows
	if rows.N > 1 {
		a, b = rows.Every(0, 2), rows.Every(1, 2)
	}
	scale := func(rows *calibrate.Rows) (*calibrate.Folded, error) {
		h.Stage("equalize")
		return calibrate.Equalize(ctx, p.graph, p.src, func(w string) bool { return static[w] }, rows, p.Opt.Threads)
	}
	half, err := scale(a)
	if err != nil {
		return nil, err
	}
	var sqnr [2]float64
	for i, src := range []*calibrate.Folded{half, {Source: p.src}} {
		c, err := p.calibrateTensors(ctx, h, src, list, a, b)
		if err != nil {
			return nil, err
		}
		sqnr[i] = c.sqnr
	}
	src, none := plain, "none, of "
	if sqnr[0] > sqnr[1] {
		none = ""
		if src, err = scale(rows); err != nil {
			return nil, err
		}
	}
	c, err := p.calibrateTensors(ctx, h, src, list, rows, rows)
	if err != nil {
		return nil, err
	}
	values := fmt.Sprintf("%s%d values: %.1f dB on every second calibration row, %.1f without", none, len(half.Value), sqnr[0], sqnr[1])
	c.results = append(c.results, format.Result{Name: "equalized", Value: values})
	return c, nil
}

// calibrateTensors finds the ranges of these values on rows, rounds the layers and corrects their biases on others, which tell the SQNR; src is the model, scaled perhaps.
func (p *Plan) calibrateTensors(ctx context.Context, h Hooks, src *calibrate.Folded, list []kept, rows, others *calibrate.Rows) (*calibration, error) {
	var roots []string
	for _, k := range list {
		if !slices.Contains(roots, k.like) {
			roots = append(roots, k.like)
		}
	}
	h.Stage("observe")
	how := p.Recipe.Activations
	found, err := calibrate.ObserveRows(ctx, p.graph, src, roots, rows, calibrate.StaticOptions{Threads: p.Opt.Threads, Memory: p.Opt.Mem, Observer: how.Observer, Symmetric: how.Symmetric,
		Progress: func(done, total int) { h.Progress(int64(done), int64(total)) }})
	if err != nil {
		return nil, err
	}
	c := &calibration{Result: &calibrate.Result{Source: src}}
	var values []calibrate.Codes
	for _, k := range list {
		s := found[slices.Index(roots, k.like)]
		c.static = append(c.static, format.Activation{Value: k.value, Scale: s.Scale, Zero: s.Zero, Observer: how.Observer, Min: s.Min, Max: s.Max, Clipped: s.Clipped, Stored: k.stored})
		values = append(values, calibrate.Codes{Static: calibrate.Static{Value: k.value, Scale: s.Scale, Zero: s.Zero}, Stored: k.stored})
	}
	h.Stage("bias")
	rounded, err := p.roundTensors(src)
	if err != nil {
		return nil, err
	}
	var way *calibrate.Rounding
	if opt := p.calibrateOptions(); opt.GPTQ || opt.Correct || opt.Sweeps > 0 {
		way = &calibrate.Rounding{GPTQ: opt.GPTQ, Correct: opt.Correct, Sweeps: opt.Sweeps, Damp: opt.Damp, Weights: map[string]*linear.Weight{}}
		c.Weights = way.Weights
	}
	added, sqnr, err := calibrate.CorrectBiases(ctx, p.graph, src, rounded, values, others, way, p.Opt.Threads)
	if err != nil {
		return nil, err
	}
	for name, b := range added { // Folded adds before it scales
		for i, s := range src.Col[name] {
			b[i] /= s
		}
	}
	src.Add, c.sqnr = added, sqnr
	c.results = []format.Result{{Name: "calib-rows", Value: fmt.Sprint(rows.N)}, {Name: "bias-corrected", Value: fmt.Sprint(len(added))}}
	return c, nil
}

// roundTensors gives the weights of s8s8 layers rounded to nearest.
func (p *Plan) roundTensors(src graph.Source) (map[string][]float32, error) {
	rounded := map[string][]float32{}
	for i := range p.Items {
		it := &p.Items[i]
		if it.Scheme != "s8s8" || it.Format != format.I8 {
			continue
		}
		n, k := it.Shape[0], it.Shape[1]
		w := make([]float32, n*k)
		if err := src.ReadRows(it.Name, 0, n, w); err != nil {
			return nil, err
		}
		packed := linear.NewWeight(linear.I8, n, k, 0)
		q, codes := quant.NewQuantizer(k, quant.Options{Compat: p.compat, Source: rounder(it.dtype)}), make([]int8, k)
		for b := range packed.Blocks() {
			q.Block(packed, b, w[16*b*k:min(16*(b+1), n)*k])
		}
		for r := range n {
			linear.Row(packed, r, codes)
			for j, u := range codes {
				w[r*k+j] = float32(u) * packed.Scale[r]
			}
		}
		rounded[it.Name] = w
	}
	return rounded, nil
}

// Bounds of calibration data for networks on tensors.
const (
	leastCalibRows = 2 // of one picture no range tells anything
	maxCalibRows   = 1 << 16
	maxCalibBytes  = 4 << 30
)

// calibrationRows are the rows of --calib: a .safetensors file with the inputs by their names, or as input.0, input.1 .. in their order, or images.
func (p *Plan) calibrationRows() (*calibrate.Rows, error) {
	path := p.Opt.Calib
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("--calib: %w", err)
	}
	if im := p.Model.Image; im != nil && (st.IsDir() || picture.Is(path)) {
		return p.calibrationPictures(path)
	}
	if st.IsDir() || !strings.EqualFold(filepath.Ext(path), ".safetensors") {
		return nil, fmt.Errorf("%w: --calib %s: this model takes tensors: give a .safetensors file with %s", ErrUsage, path, inputList(p.graph))
	}
	if st.Size() > maxCalibBytes {
		return nil, fmt.Errorf("%w: --calib %s has %d bytes, at most %d are read", ErrUsage, path, st.Size(), int64(maxCalibBytes))
	}
	file, err := safetensors.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--calib: %w", err)
	}
	defer file.Close()
	rows := &calibrate.Rows{}
	for i, in := range p.graph.Inputs {
		if in.DType != graph.Float {
			return nil, fmt.Errorf("%w: --calib: input %q takes integers, of which no ranges are observed", ErrUsage, in.Name)
		}
		t, pixels := calibrationTensor(file, p.graph, i, p.Model.Image)
		if t == nil {
			return nil, fmt.Errorf("%w: --calib %s has no tensor %s of shape [rows %s; it has %s", ErrInput, path, cmp.Or(inputName(in.Name, i), in.Name), strings.TrimPrefix(p.graph.ShapeString(in.Shape[1:]), "["), describeTensors(file))
		}
		n := t.Shape[0]
		if n < leastCalibRows || n > maxCalibRows || rows.N != 0 && n != rows.N {
			return nil, fmt.Errorf("%w: --calib %s: tensor %q has %d rows: must be %d to %d, and as many for each input; a hundred are plenty", ErrInput, path, t.Name, n, leastCalibRows, maxCalibRows)
		}
		rows.N = n
		x := graph.Tensor{Shape: t.Shape, F: make([]float32, t.NumElems())}
		if err := t.ReadRows(0, n, x.F); err != nil {
			return nil, err
		}
		if pixels {
			x = p.Model.Image.Pixels(x)
		}
		if k := slices.IndexFunc(x.F, func(v float32) bool { return v-v != 0 }); k >= 0 {
			return nil, fmt.Errorf("%w: --calib %s: tensor %q: value %d is %v", ErrInput, path, t.Name, k, x.F[k])
		}
		rows.Inputs = append(rows.Inputs, calibrate.Named{Name: in.Name, Tensor: x})
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	p.sum = hex.EncodeToString(sum[:])
	return rows, nil
}

// calibrationPictures are those of a folder.
func (p *Plan) calibrationPictures(path string) (*calibrate.Rows, error) {
	files, err := picture.Files(path)
	if err != nil {
		return nil, fmt.Errorf("%w: --calib: %w", ErrInput, err)
	}
	in := p.graph.Inputs[0]
	if len(p.graph.Inputs) != 1 || len(in.Shape) != 4 || len(files) < leastCalibRows || len(files) > maxCalibRows {
		return nil, fmt.Errorf("%w: --calib %s: %d pictures for %d inputs: must be %d to %d for one", ErrUsage, path, len(files), len(p.graph.Inputs), leastCalibRows, maxCalibRows)
	}
	x := graph.Tensor{Shape: []int{len(files), int(in.Shape[1]), int(in.Shape[2]), int(in.Shape[3])}}
	sum := sha256.New()
	for _, file := range files {
		one, err := picture.Open(file)
		if err != nil {
			return nil, fmt.Errorf("%w: --calib: %w", ErrInput, err)
		}
		row, err := one.Input(p.Model.Image, x.Shape[1])
		if err != nil {
			return nil, fmt.Errorf("%w: --calib: %s: %w", ErrInput, file, err)
		}
		sum.Write(one.Pix)
		x.F = append(x.F, row...)
	}
	p.sum = hex.EncodeToString(sum.Sum(nil))
	return &calibrate.Rows{N: len(files), Inputs: []calibrate.Named{{Name: in.Name, Tensor: x}}}, nil
}

// inputName is what input i is called beside its own name.
func inputName(name string, i int) string {
	if name == fmt.Sprintf("input.%d", i) {
		return strconv.Quote(name)
	}
	return fmt.Sprintf("%q (or input.%d)", name, i)
}

// calibrationTensor finds the tensor for input i; pixels: it holds bytes [rows, H, W, C] to be made the input's.
func calibrationTensor(file *safetensors.Checkpoint, g *graph.Graph, i int, im *graph.Image) (t *safetensors.Tensor, pixels bool) {
	in := g.Inputs[i]
	fits := func(t *safetensors.Tensor) bool {
		if len(t.Shape) != len(in.Shape) {
			return false
		}
		for j, d := range in.Shape[1:] {
			if t.Shape[j+1] != int(d) {
				return false
			}
		}
		return true
	}
	for _, name := range []string{fmt.Sprintf("calib.%d", i), g.Find(i, file.Names())} {
		if t, ok := file.Tensor(name); ok && fits(t) {
			return t, false
		}
	}
	if t, ok := file.Tensor("images"); ok && len(g.Inputs) == 1 && t.DType == safetensors.U8 && im != nil && len(t.Shape) == 4 && len(in.Shape) == 4 && t.Shape[1] == int(in.Shape[2]) && t.Shape[2] == int(in.Shape[3]) && t.Shape[3] == int(in.Shape[1]) {
		return t, true
	}
	return nil, false
}

func inputList(g *graph.Graph) string {
	var list []string
	for i, in := range g.Inputs {
		list = append(list, fmt.Sprintf("input.%d %s", i, g.ShapeString(in.Shape)))
	}
	return strings.Join(list, ", ")
}

func describeTensors(file *safetensors.Checkpoint) string {
	var b bytes.Buffer
	for i, name := range file.Names() {
		if i == 4 {
			fmt.Fprintf(&b, " and %d more", len(file.Names())-i)
			break
		}
		t, _ := file.Tensor(name)
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%.60q %v %v", name, t.DType, t.Shape)
	}
	return b.String()
}
