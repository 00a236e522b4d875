package exec

import (
	"context"
	"fmt"

	"qpt/internal/par"
	"qpt/kernels/attn"
	"qpt/kernels/elem"
	"qpt/kernels/linear"
)

// State is one sequence in progress: buffers, KV cache, position. It is not safe for concurrent use.
type State struct {
	p    *Program
	pool *par.Pool
	opt  StateOptions
	len  int // tokens in the KV cache

	dims []int // extent of each symbol in this call
	val  [][]float32
	ints [][]int32
	pos  []int32
	rows []int32     // 0, 1, 2, ...
	bufs [][]float32 // by slot, opt.Batch rows
	acts []*linear.Acts
	kv   []*attn.KV
	rope []*elem.Rope
	ntk  []int       // length for which a rope with dynamic scaling is set
	row  [][]float32 // one row for each worker
	gemm []linear.Scratch
	attn []attn.Scratch
	cur  step

	traced int // steps done of a traced pass
}

// StateOptions size a State.
type StateOptions struct {
	Context int         // positions of the KV cache; required
	Batch   int         // most tokens in one pass over the weights; 0 means 512; fewer when buffers would pass 1 GiB
	KV      attn.KVType // storage of keys and values
}

// NewState makes the buffers and the KV cache of one sequence. States that
// share a pool must not run at the same time.
func (p *Program) NewState(pool *par.Pool, opt StateOptions) (*State, error) {
	if opt.Context <= 0 {
		return nil, fmt.Errorf("context of %d positions: must be positive", opt.Context)
	}
	if opt.Batch <= 0 {
		opt.Batch = 512
	}
	opt.Batch = min(opt.Batch, opt.Context, max(int(maxBuffers/p.rowMemory()), 1))
	n := pool.Workers()
	s := &State{
		p: p, pool: pool, opt: opt,
		dims: make([]int, len(p.g.Symbols)),
		val:  make([][]float32, len(p.values)),
		ints: make([][]int32, len(p.values)),
		pos:  make([]int32, opt.Batch),
		rows: make([]int32, opt.Batch),
		gemm: make([]linear.Scratch, n),
		attn: make([]attn.Scratch, n),
	}
	for i := range s.rows {
		s.rows[i] = int32(i)
	}
	for _, sl := range p.slots {
		s.bufs = append(s.bufs, make([]float32, sl.width*opt.Batch))
	}
	for _, a := range p.acts {
		s.acts = append(s.acts, linear.NewActs(a.form, opt.Batch, a.k))
	}
	for _, c := range p.caches {
		s.kv = append(s.kv, attn.NewKV(opt.KV, c.KVHeads, c.HeadDim, opt.Context))
	}
	for _, r := range p.ropes {
		s.rope = append(s.rope, elem.NewRope(r.Freqs, r.Scale, r.Rotary, r.HeadDim, r.Pairing == "interleaved"))
		s.ntk = append(s.ntk, 0)
	}
	widest := 0
	for _, v := range p.values {
		widest = max(widest, v.width)
	}
	for range n {
		s.row = append(s.row, make([]float32, widest))
	}
	return s, nil
}

// Len is the number of tokens that the KV cache holds.
func (s *State) Len() int { return s.len }

// Context is the number of tokens that it can hold.
func (s *State) Context() int { return s.opt.Context }

// Batch is the most tokens of one pass.
func (s *State) Batch() int { return s.opt.Batch }

// Truncate forgets the tokens from position n on.
func (s *State) Truncate(n int) {
	if n < s.len {
		s.len = n
		for _, kv := range s.kv {
			kv.Truncate(n)
		}
	}
}

// Run appends ids to the sequence and returns the output rows of the last
// token (all false) or of every token of ids: [R][V] in one slice, valid until
// the next call. It stops between passes when ctx is done; the tokens of
// finished passes stay in the sequence.
func (s *State) Run(ctx context.Context, ids []int32, all bool) ([]float32, error) {
	if len(ids) == 0 {
		return nil, fmt.Errorf("no tokens to run")
	}
	if s.len+len(ids) > s.opt.Context {
		return nil, fmt.Errorf("%d tokens do not fit in the context: %d of %d positions are taken", len(ids), s.len, s.opt.Context)
	}
	if all && len(ids) > s.opt.Batch {
		return nil, fmt.Errorf("%d output rows asked for, a pass has %d at most", len(ids), s.opt.Batch)
	}
	if s.p.whole && (s.len > 0 || len(ids) > s.opt.Batch) {
		return nil, fmt.Errorf("this model attends to all tokens at once: %d tokens after %d must be one pass (of %d at most) on an empty sequence", len(ids), s.len, s.opt.Batch)
	}
	if err := s.check(ids); err != nil {
		return nil, err
	}
	s.pool.Begin()
	defer s.pool.End()
	for len(ids) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(len(ids), s.opt.Batch)
		s.bind(ids[:n], all)
		for _, st := range s.p.steps {
			s.exec(st)
		}
		s.len += n
		ids = ids[n:]
	}
	return s.val[s.p.out], nil
}

// check refuses tokens that the tables of the model do not have.
func (s *State) check(ids []int32) error {
	for i, id := range ids {
		if id < 0 || int(id) >= s.p.vocab {
			return fmt.Errorf("token %d at position %d is not in the vocabulary of %d", id, s.len+i, s.p.vocab)
		}
	}
	if s.len+len(ids) > s.p.maxPos {
		return fmt.Errorf("%d tokens after %d: the model has a table of %d positions", len(ids), s.len, s.p.maxPos)
	}
	return nil
}

// bind sets inputs, extents and buffers for one pass.
func (s *State) bind(ids []int32, all bool) {
	for i := range ids {
		s.pos[i] = int32(s.len + i)
	}
	rows := s.rows[len(ids)-1 : len(ids)]
	if all {
		rows = s.rows[:len(ids)]
	}
	for i, sym := range s.p.g.Symbols {
		s.dims[i] = len(ids)
		if sym == "R" {
			s.dims[i] = len(rows)
		}
	}
	for _, in := range s.p.g.Inputs {
		i := s.p.index[in.Name]
		switch in.Name {
		case "ids":
			s.ints[i] = ids
		case "pos":
			s.ints[i] = s.pos[:len(ids)]
		case "rows":
			s.ints[i] = rows
		}
	}
	for i, v := range s.p.values {
		if v.slot >= 0 {
			s.val[i] = s.bufs[v.slot][:s.dims[v.rowSym]*v.width]
		}
	}
	for i, r := range s.p.ropes {
		end := s.len + len(ids)
		if d := r.Dynamic; d != nil {
			if n := max(end, d.MaxPos); n != s.ntk[i] {
				s.rope[i].SetFreqs(r.FreqsAt(n))
				s.ntk[i] = n
			}
		}
		s.rope[i].Reserve(end)
	}
}

// exec runs all items of a step.
func (s *State) exec(st step) {
	n := st.items(s)
	if n == 1 {
		st.do(s, 0, 0)
		return
	}
	s.cur = st
	s.pool.Run(s, n)
}

// Do implements par.Task.
func (s *State) Do(worker, item int) { s.cur.do(s, worker, item) }
