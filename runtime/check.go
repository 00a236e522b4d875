package runtime

import (
	"context"
	"fmt"
	"runtime/debug"

	"qpt/format"
	"qpt/format/graph"
	"qpt/runtime/diff"
	"qpt/runtime/exec"
	"qpt/runtime/ref"
)

// maxReference bounds the tokens of one embedded prompt: a hostile file could
// hold millions, compressed to nothing.
const maxReference = 4096

// Check runs the prompts whose FP32 results are in the file and returns how
// far this model's logits are from them.
func (m *Model) Check(ctx context.Context) (*diff.Logits, error) {
	refs, err := m.File.References()
	if err != nil {
		return nil, err
	}
	if refs.Vocab != m.vocab {
		return nil, fmt.Errorf("%w: %s: references have %d logits a row, the graph gives %d", format.ErrCorrupt, m.File.Path(), refs.Vocab, m.vocab)
	}
	var d diff.Logits
	for i, c := range refs.Cases {
		if len(c.Tokens) > maxReference {
			return nil, fmt.Errorf("%w: %s: reference %d has %d tokens, at most %d are run", format.ErrCorrupt, m.File.Path(), i, len(c.Tokens), maxReference)
		}
		next := 0 // index in Rows, which rise
		if err := m.each(ctx, c.Tokens, func(pos int, logits []float32) {
			if next < len(c.Rows) && pos == int(c.Rows[next]) {
				d.Add(c.Logits[next*m.vocab:(next+1)*m.vocab], logits)
				next++
			}
		}); err != nil {
			return nil, fmt.Errorf("reference %d: %w", i, err)
		}
	}
	return &d, nil
}

// NodeDiff is the distance of one node's result from the FP32 executor's.
type NodeDiff struct {
	Node   *graph.Node
	Scheme string // of the node's weights, "" without any
	// Local compares on the FP32 inputs of the node: its own error.
	// Cumulative compares within the quantized run: all errors so far.
	Local, Cumulative diff.Tensor
}

// LockStep is the result of Model.LockStep.
type LockStep struct {
	Nodes  []NodeDiff // in execution order
	Logits diff.Logits
}

// LockStep runs the FP32 executor on the original weights and this model side
// by side over seqs and compares the result of every node. Memory holds the
// values in use and one row block of the source's weights.
func (m *Model) LockStep(ctx context.Context, src ref.Source, seqs [][]int32) (_ *LockStep, err error) {
	defer catch(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	prog, err := exec.Compile(m.Graph, m.w, exec.Options{NoFuse: true})
	if err != nil {
		return nil, err
	}
	m.turn.Lock()
	defer m.turn.Unlock()
	out := &LockStep{Nodes: make([]NodeDiff, len(m.Graph.Nodes))}
	index := map[string]int{}
	for i := range m.Graph.Nodes {
		n := &m.Graph.Nodes[i]
		index[n.Name] = i
		out.Nodes[i].Node = n
		for _, p := range n.Params {
			if t := m.w.byName[p]; t != nil && len(t.Shape) == 2 {
				out.Nodes[i].Scheme = t.Scheme
			}
		}
	}
	var in []ref.Seq
	var whole, alone []*exec.State
	for _, ids := range seqs {
		in = append(in, ref.Seq{IDs: ids})
		opt := exec.StateOptions{Context: len(ids), Batch: len(ids), KV: m.kv}
		for _, list := range []*[]*exec.State{&whole, &alone} {
			s, err := prog.NewState(m.pool, opt)
			if err != nil {
				return nil, err
			}
			if err := s.Start(ids); err != nil {
				return nil, err
			}
			*list = append(*list, s)
		}
	}
	last := m.Graph.Outputs[0]
	_, err = ref.Run(ctx, m.Graph, src, in, ref.Options{Threads: m.Threads(), Tap: func(n *graph.Node, seq int, ins []ref.Tensor, result ref.Tensor) {
		i := index[n.Name]
		got := whole[seq].Node(i)
		out.Nodes[i].Cumulative.Add(result.F, got)
		if n.Out[0] == last {
			for r := 0; r < len(got); r += m.vocab {
				out.Logits.Add(result.F[r:r+m.vocab], got[r:r+m.vocab])
			}
		}
		args := make([][]float32, len(ins))
		for j, t := range ins {
			args[j] = t.F
		}
		out.Nodes[i].Local.Add(result.F, alone[seq].Local(i, args))
	}})
	return out, err
}
