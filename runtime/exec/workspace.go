package exec

import (
	"fmt"
	"unsafe"

	"qpt/format/graph"
	"qpt/internal/par"
	"qpt/kernels/attn"
	"qpt/kernels/linear"
)

// Workspace holds what one pass needs while it runs: buffers, scratch of the
// workers, tables of rotations. It serves any program, one pass at a time, and
// grows to what the largest pass needed.
type Workspace struct {
	KV    attn.KVType // how attention without a cache keeps keys and values for the pass
	Watch func(Took)  // called after each step of a pass; nil: not

	pool   *par.Pool
	pages  *attn.Pool // for attention without a cache
	own    bool
	bufs   [][]float32 // by slot, whatever the program
	acts   map[actSpec]*linear.Acts
	rowBuf [][]float32 // one row for each worker
	gemm   []linear.Scratch
	attn   []attn.Scratch
	conv   []convScratch
	frames map[*Program]*frame
	alone  []*Workspace // of one core each
}

// NewWorkspace starts the given number of workers; 0 means all cores that the process may use.
func NewWorkspace(threads int) *Workspace {
	ws := newWorkspace(par.New(threads))
	ws.own = true
	return ws
}

func newWorkspace(pool *par.Pool) *Workspace {
	n := pool.Workers()
	return &Workspace{
		pool: pool, pages: attn.NewPool(0), KV: attn.KVF32, acts: map[actSpec]*linear.Acts{}, rowBuf: make([][]float32, n),
		gemm: make([]linear.Scratch, n), attn: make([]attn.Scratch, n), conv: make([]convScratch, n), frames: map[*Program]*frame{},
		alone: make([]*Workspace, n),
	}
}

// Beside returns a workspace of its own on the same cores, for a pass that is
// to stay while others run. It ends with ws.
func (ws *Workspace) Beside() *Workspace { return newWorkspace(ws.pool) }

// Alone returns the workspace of core i of ws, for passes that run side by side; different ones may be used at once.
func (ws *Workspace) Alone(i int) *Workspace {
	if ws.alone[i] == nil {
		ws.alone[i] = newWorkspace(par.New(1))
		ws.alone[i].KV = ws.KV
	}
	return ws.alone[i]
}

// Threads is the number of workers.
func (ws *Workspace) Threads() int { return ws.pool.Workers() }

// Close stops the workers; no pass may be running.
func (ws *Workspace) Close() {
	if ws.own {
		ws.pool.Close()
	}
}

// row is a row of working memory of a worker.
func (ws *Workspace) row(worker, width int) []float32 {
	if len(ws.rowBuf[worker]) < width {
		ws.rowBuf[worker] = make([]float32, width)
	}
	return ws.rowBuf[worker][:width]
}

// frame is a program in a workspace: what a pass binds. It stays, so that the next
// pass of the same program allocates nothing.
type frame struct {
	p     *Program
	ws    *Workspace
	dims  []int       // extent of each symbol in this pass
	val   [][]float32 // by value
	ints  [][]int32
	codes [][]byte
	rows  []int // of each value
	pos   []int32
	want  []int32 // rows wanted, as indices into T
	acts  []*linear.Acts
	rope  []ropeTable
	segs  []segment
	// chunks cut the rows of the segments for attention; the last queries see most, they come first.
	chunks []chunk
	attn   attention
	inner  [2][]chunk // of attention within a dimension: keys, queries
	routed routed
	out    []graph.Tensor
	need   []int // floats of each slot
	cur    step
}

// segment is a part of a pass: rows that follow each other in one sequence.
type segment struct {
	seq   *Sequence
	r0, n int // rows
	pos   int // position of the first
	end   int // positions of the sequence when its append is done
}

// chunk is a run of rows of a segment; pos is the position of the first.
type chunk struct{ seg, r0, r1, pos int }

// queryChunk queries or positions are one item.
const queryChunk = 32

func (ws *Workspace) frame(p *Program) *frame {
	f := ws.frames[p]
	if f == nil {
		f = &frame{
			p: p, ws: ws, dims: make([]int, len(p.g.Symbols)),
			val: make([][]float32, len(p.values)), ints: make([][]int32, len(p.values)), codes: make([][]byte, len(p.values)), rows: make([]int, len(p.values)),
			acts: make([]*linear.Acts, len(p.acts)), need: make([]int, p.slots), out: make([]graph.Tensor, len(p.outs)),
		}
		for _, r := range p.ropes {
			f.rope = append(f.rope, newRopeTable(r))
		}
		for i, v := range p.outs {
			f.out[i].Shape = make([]int, len(p.values[v].Shape))
		}
		for _, c := range p.consts {
			f.val[c.value] = c.data
		}
		ws.frames[p] = f
	}
	return f
}

// bind sets inputs, extents and buffers for one pass. Nothing outside f and its workspace changes.
func (f *frame) bind(b *graph.Batch) error {
	p := f.p
	if err := f.bindParts(b); err != nil {
		return err
	}
	if err := f.bindInputs(b); err != nil {
		return err
	}
	for _, c := range p.checks {
		for i, x := range f.ints[c.value] {
			if x < 0 || int(x) >= c.below {
				return f.outside(c, i, x)
			}
		}
	}
	clear(f.need)
	for i := range p.values {
		v := &p.values[i]
		rows := 1
		for _, d := range v.lead {
			if d < 0 {
				d = graph.Dim(f.dims[-1-d])
			}
			rows *= int(d)
		}
		f.rows[i] = rows
		if v.slot >= 0 {
			f.need[v.slot] = max(f.need[v.slot], v.floats(rows))
		}
	}
	for len(f.ws.bufs) < len(f.need) {
		f.ws.bufs = append(f.ws.bufs, nil)
	}
	total := 0
	for _, n := range f.need {
		total += 4 * n
	}
	if total > maxWorking {
		return fmt.Errorf("the pass needs %.1f GiB of buffers, at most %d GiB are given: run fewer rows at a time", float64(total)/(1<<30), maxWorking>>30)
	}
	for i, n := range f.need {
		if len(f.ws.bufs[i]) < n {
			f.ws.bufs[i] = linear.Floats(grown(n, len(f.ws.bufs[i])))
		}
	}
	for i := range p.values {
		if v := &p.values[i]; v.slot >= 0 {
			f.val[i] = f.ws.bufs[v.slot][:v.floats(f.rows[i])]
			if v.DType == graph.Int {
				f.ints[i] = asInts(f.val[i])
			}
			if v.bytes {
				f.codes[i] = asBytes(f.val[i])[:f.rows[i]*v.width]
			}
		}
	}
	for i, spec := range p.acts {
		f.acts[i] = f.ws.actsFor(spec, f.actRows(i))
	}
	for i := range f.rope {
		f.rope[i].bind(f.segs)
	}
	return nil
}

// grown is the new length of a buffer of have that must hold n: growth by an eighth at least, so that
// passes that grow row by row do not allocate each time.
func grown(n, have int) int { return max(n, have+have/8) }

// actRows is the number of rows that buffer i of quantized rows needs at most in this pass.
func (f *frame) actRows(i int) int {
	n := 0
	for _, v := range f.p.actUses[i] {
		n = max(n, f.rows[v])
	}
	return n
}

// actsFor returns the buffer for a spec with room for rows.
func (ws *Workspace) actsFor(spec actSpec, rows int) *linear.Acts {
	if have := ws.acts[spec].Room(); ws.acts[spec] == nil || have < rows {
		ws.acts[spec] = spec.rows(grown(rows, have))
	}
	return ws.acts[spec]
}

// asInts is the memory of x as integers.
func asInts(x []float32) []int32 {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*int32)(unsafe.Pointer(&x[0])), len(x))
}

// asBytes is the memory of x.
func asBytes(x []float32) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x))
}

// bindParts lays out the rows of the sequences.
func (f *frame) bindParts(b *graph.Batch) error {
	p := f.p
	f.segs, f.chunks, f.pos, f.want = f.segs[:0], f.chunks[:0], f.pos[:0], f.want[:0]
	if p.symT < 0 && len(b.Parts) > 0 {
		return fmt.Errorf("the graph has no rows of tokens (symbol T), the batch has %d parts", len(b.Parts))
	}
	if p.symT >= 0 && len(b.Parts) == 0 {
		return fmt.Errorf("the batch has no parts: no rows to run")
	}
	r0 := 0
	for i := range b.Parts {
		part := &b.Parts[i]
		if part.N <= 0 {
			return fmt.Errorf("part %d of the batch has %d rows: no tokens to run", i, part.N)
		}
		s := segment{r0: r0, n: part.N}
		if part.Seq != nil {
			seq, ok := part.Seq.(*Sequence)
			if !ok || seq.p != p {
				return fmt.Errorf("part %d: its sequence belongs to another program or executor", i)
			}
			for _, other := range f.segs {
				if other.seq == seq {
					return fmt.Errorf("part %d: a sequence can be in one part of a pass only", i)
				}
			}
			if seq.kv == nil {
				return fmt.Errorf("part %d: its sequence is released", i)
			}
			if n := max(part.End-seq.len, part.N); seq.len+n > seq.limit {
				return fmt.Errorf("%d tokens do not fit in the context: %d of %d positions are taken", n, seq.len, seq.limit)
			}
			if p.whole && seq.len > 0 {
				return fmt.Errorf("this model attends to all tokens at once: %d tokens after %d must be one pass on an empty sequence", part.N, seq.len)
			}
			s.seq, s.pos = seq, seq.len
		}
		s.end = max(part.End, s.pos+part.N)
		for j := range part.N {
			f.pos = append(f.pos, int32(s.pos+j))
		}
		last := int32(-1)
		for _, r := range part.Rows {
			if r <= last || int(r) >= part.N {
				return fmt.Errorf("part %d: rows wanted are %v: must ascend within 0 to %d", i, part.Rows, part.N-1)
			}
			last = r
			f.want = append(f.want, int32(r0)+r)
		}
		f.segs = append(f.segs, s)
		r0 += part.N
	}
	for i := len(f.segs) - 1; i >= 0; i-- {
		f.chunks = cutSegment(f.chunks, i, f.segs[i].r0, f.segs[i].n, f.segs[i].pos)
	}
	if p.symT >= 0 {
		f.dims[p.symT] = r0
	}
	if p.symR >= 0 {
		f.dims[p.symR] = len(f.want)
	}
	if p.symS >= 0 {
		f.dims[p.symS] = len(f.segs)
	}
	return nil
}

// cutSegment appends the chunks of n rows from r0 on, at positions from pos on, the last ones first.
func cutSegment(list []chunk, seg, r0, n, pos int) []chunk {
	for at := (n - 1) / queryChunk * queryChunk; at >= 0; at -= queryChunk {
		list = append(list, chunk{seg, r0 + at, r0 + min(at+queryChunk, n), pos + at})
	}
	return list
}

// bindInputs takes the tensors of the batch and the extents of symbols from them.
func (f *frame) bindInputs(b *graph.Batch) error {
	p := f.p
	for i := range f.dims {
		if i != p.symT && i != p.symR && i != p.symS {
			f.dims[i] = -1
		}
	}
	given := 0
	for i, in := range p.g.Inputs {
		switch i {
		case p.pos:
			f.ints[i] = f.pos
			continue
		case p.rows:
			f.ints[i] = f.want
			continue
		}
		t, ok := b.Inputs[in.Name]
		if !ok {
			return fmt.Errorf("input %q %s %s is missing", in.Name, in.DType, p.g.ShapeString(in.Shape))
		}
		given++
		n := 1
		ok = len(t.Shape) == len(in.Shape)
		for j := 0; ok && j < len(in.Shape); j++ {
			d := int(in.Shape[j])
			if d < 0 {
				at := &f.dims[-1-d]
				if *at < 0 {
					*at = t.Shape[j]
				}
				d = *at
			}
			ok = t.Shape[j] == d && d >= 0
			n *= d
		}
		if !ok {
			return fmt.Errorf("input %q has shape %v, must be %s%s", in.Name, t.Shape, p.g.ShapeString(in.Shape), f.extents())
		}
		if in.DType == graph.Int && len(t.I) != n || in.DType == graph.Float && len(t.F) != n {
			return fmt.Errorf("input %q of shape %v has %d floats and %d integers, must have %d of type %s", in.Name, t.Shape, len(t.F), len(t.I), n, in.DType)
		}
		f.val[i], f.ints[i] = t.F, t.I
	}
	if given != len(b.Inputs) {
		for name := range b.Inputs {
			if i, ok := p.index[name]; !ok || i >= len(p.g.Inputs) || i == p.pos || i == p.rows {
				return fmt.Errorf("the graph takes no input %q", name)
			}
		}
	}
	for i, n := range f.dims {
		if n < 0 {
			return fmt.Errorf("nothing tells the extent of symbol %s", p.g.Symbols[i])
		}
	}
	return nil
}

// extents words the known symbols: " with T = 3, R = 1".
func (f *frame) extents() (s string) {
	for i, n := range f.dims {
		if n >= 0 {
			if s == "" {
				s = " with "
			} else {
				s += ", "
			}
			s += fmt.Sprintf("%s = %d", f.p.g.Symbols[i], n)
		}
	}
	return s
}

// outside words integer i of a check that is out of range.
func (f *frame) outside(c check, i int, x int32) error {
	switch {
	case c.value == f.p.pos:
		return fmt.Errorf("position %d: the model has a table of %d positions", x, c.below)
	case c.value == f.p.ids:
		return fmt.Errorf("token %d at position %d is not in the vocabulary of %d", x, f.pos[i], c.below)
	}
	return fmt.Errorf("input %q: element %d is %d, %s has %d rows", f.p.values[c.value].Name, i, x, c.what, c.below)
}

// exec runs all items of a step.
func (f *frame) exec(st step) {
	n := st.items(f)
	switch {
	case n <= 0:
	case n == 1:
		st.do(f, 0, 0)
	default:
		f.cur = st
		f.ws.pool.Run(f, n)
	}
}

// Do implements par.Task.
func (f *frame) Do(worker, item int) { f.cur.do(f, worker, item) }

// result fills the output tensors.
func (f *frame) result() []graph.Tensor {
	for i, v := range f.p.outs {
		f.tensor(v, &f.out[i])
	}
	return f.out
}

// tensor describes value v of the pass.
func (f *frame) tensor(v int, t *graph.Tensor) {
	x := &f.p.values[v]
	for j, d := range x.Shape {
		if d < 0 {
			d = graph.Dim(f.dims[-1-d])
		}
		t.Shape[j] = int(d)
	}
	if x.DType == graph.Int {
		t.I = f.ints[v]
	} else {
		t.F = f.val[v]
	}
}
