package runtime

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"qpt/format/graph"
	"qpt/internal/par"
	"qpt/kernels/attn"
	"qpt/runtime/exec"
)

// turn lets one pass at a time onto the cores, in the order of asking.
type turn struct {
	held    chan struct{} // senders wait in order
	waiting *atomic.Int32
}

func newTurn() turn { return turn{make(chan struct{}, 1), new(atomic.Int32)} }

// take waits for its turn or for the end of ctx.
func (t *turn) take(ctx context.Context) error {
	select {
	case t.held <- struct{}{}:
		return nil
	default:
	}
	t.waiting.Add(1)
	defer t.waiting.Add(-1)
	select {
	case t.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *turn) give() { <-t.held }

// Program is the file's graph as planned for its weights.
func (m *Model) Program() *exec.Program { return m.prog }

// Programs lists the file's programs; format.Main is the one that methods without a name run.
func (m *Model) Programs() []string { return m.File.Programs() }

// Exclusive calls f when it is its turn, with the model's workspace; no other pass
// runs meanwhile. When f touches mapped weights that are lost, it ends with ErrLost.
func (m *Model) Exclusive(ctx context.Context, f func(ws *exec.Workspace) error) (err error) {
	if m.closed.Load() {
		return fmt.Errorf("%s: %w", m.File.Path(), ErrClosed)
	}
	if err := m.turn.take(ctx); err != nil {
		return err
	}
	defer m.turn.give()
	defer catch(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	return f(m.ws)
}

// Pass runs one batch of a program and shows use its outputs, valid until use returns.
func (m *Model) Pass(ctx context.Context, p *exec.Program, b *graph.Batch, use func(out []graph.Tensor) error) error {
	return m.Exclusive(ctx, func(ws *exec.Workspace) error {
		start := time.Now()
		out, err := p.Run(ctx, ws, b)
		if err != nil {
			return err
		}
		m.took(start, *b)
		return use(out)
	})
}

// took notes how fast batches were.
func (m *Model) took(start time.Time, batches ...graph.Batch) {
	rows := 0
	for i := range batches {
		n, _ := batches[i].Rows()
		rows += n
	}
	if rows >= 16 {
		m.rate.Store(int64(float64(rows) / max(time.Since(start).Seconds(), 1e-6)))
	}
}

// Passes runs batches that keep no sequences, each on a core of its own: what a layer makes stays in that core's caches, and no core waits for
// another. use is shown the outputs of batch i, valid until it returns; calls of it run side by side.
func (m *Model) Passes(ctx context.Context, p *exec.Program, batches []graph.Batch, use func(i int, out []graph.Tensor) error) error {
	return m.Exclusive(ctx, func(ws *exec.Workspace) error {
		start, errs := time.Now(), make([]error, len(batches))
		par.For(ws.Threads(), len(batches), func(worker, i int) {
			out, err := p.Run(ctx, ws.Alone(worker), &batches[i])
			if err == nil {
				err = use(i, out)
			}
			errs[i] = err
		})
		m.took(start, batches...)
		return cmp.Or(errs...)
	})
}

// NewSequence starts an empty sequence of the file's graph, of up to limit positions.
func (m *Model) NewSequence(limit int) *exec.Sequence { return m.sequence(m.prog, limit) }

func (m *Model) sequence(p *exec.Program, limit int) *exec.Sequence {
	return p.NewSequence(m.pages, m.kv, limit)
}

// KVUsed is the memory of the keys and values of all sequences, in bytes; what forks share counts once.
func (m *Model) KVUsed() int64 { return m.pages.Used() }

// KVMemory is the bound of KVUsed; 0: none.
func (m *Model) KVMemory() int64 { return m.pages.Budget() }

// KVPage is the number of positions by which sequences take memory.
func (m *Model) KVPage() int { return attn.PageLen }

// KVBytes is the most that the keys and values of a sequence of n positions take, in bytes, when a pass has just brought rows of them; between
// passes rows is 0. Layers with a window keep little more than that.
func (m *Model) KVBytes(n, rows int) int64 { return m.prog.KVBytes(m.kv, n, rows) }

// MaxRows is the most rows of a pass.
func (m *Model) MaxRows() int {
	if m.opt.Batch > 0 {
		return m.opt.Batch
	}
	return min(512, m.prog.MaxRows())
}

// shared is how long a pass may take while others wait for their turn.
const shared = 150 * time.Millisecond

// PassRows is the most rows that the next pass of a long input should take: all that
// Options.Batch allows when nobody waits, else about what takes 150 ms.
func (m *Model) PassRows() int {
	n := m.MaxRows()
	if rate := m.rate.Load(); m.turn.waiting.Load() > 0 && rate > 0 {
		n = min(n, max(16, int(float64(rate)*shared.Seconds())))
	}
	return n
}
