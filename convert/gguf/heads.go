package gguf

import (
	"fmt"
	"sync"

	"qpt/convert/stored"
)

// headsMatrix is kv_b_proj [H*(key+value), rank] of what files have apart for each head: attn_k_b [H, rank, key] and attn_v_b [H, value, rank].
type headsMatrix struct {
	k, v             *stored.Tensor
	rank, key, value int

	mu    sync.Mutex
	head  int
	turns []float32 // k of that head, [rank, key]: its columns are wanted one after the other
}

func joinHeads(t, other *region, name string) (*stored.Tensor, error) {
	if other == nil {
		return nil, fmt.Errorf("%w: tensor %q is there, but no %q", ErrCorrupt, t.name, name)
	}
	if len(t.shape) != 3 || len(other.shape) != 3 || t.shape[0] != other.shape[0] || t.shape[1] != other.shape[2] {
		return nil, fmt.Errorf("%w: tensors %q %v and %q %v are not the keys [heads, rank, width] and values [heads, width, rank] of one latent vector", ErrCorrupt, t.name, t.shape, name, other.shape)
	}
	m := &headsMatrix{k: t.tensor(t.name, t.shape, 0, nil), v: other.tensor(name, other.shape, 0, nil), rank: t.shape[1], key: t.shape[2], value: other.shape[1], head: -1}
	return &stored.Tensor{Shape: []int{t.shape[0] * (m.key + m.value), m.rank}, Type: t.kind.name, File: t.in.path, Numbers: m, Inexact: t.kind.block != nil}, nil
}

// ReadRows implements stored.Numbers.
func (m *headsMatrix) ReadRows(r0, r1 int, dst []float32) error {
	return m.ReadPart(r0*m.rank, dst[:(r1-r0)*m.rank])
}

// ReadPart implements stored.Numbers.
func (m *headsMatrix) ReadPart(from int, dst []float32) error {
	for len(dst) > 0 {
		row, at := from/m.rank, from%m.rank
		h, i := row/(m.key+m.value), row%(m.key+m.value)
		n := min(len(dst), m.rank-at)
		var err error
		if i < m.key {
			err = m.column(h, i, at, dst[:n])
		} else {
			err = m.v.ReadPart((h*m.value+i-m.key)*m.rank+at, dst[:n])
		}
		if err != nil {
			return err
		}
		from, dst = from+n, dst[n:]
	}
	return nil
}

// column reads a part of column i of the keys of head h.
func (m *headsMatrix) column(h, i, at int, dst []float32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.head != h {
		m.head, m.turns = -1, make([]float32, m.rank*m.key)
		if err := m.k.ReadPart(h*len(m.turns), m.turns); err != nil {
			return err
		}
		m.head = h
	}
	for j := range dst {
		dst[j] = m.turns[(at+j)*m.key+i]
	}
	return nil
}
