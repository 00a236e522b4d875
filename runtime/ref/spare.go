package ref

import (
	"math/bits"
	"sync"
)

// Spare keeps the memory of values that nobody reads any more for values to come: fresh memory costs more than most ops. Walks may share it, also those that run at the same time. The zero value works.
type Spare struct {
	Limit int64 // bytes kept at most; 0: all

	mu   sync.Mutex
	free map[int][][]float32 // by capacity
	size int64
}

// Get returns n values of any kind.
func (s *Spare) Get(n int) []float32 {
	if n == 0 {
		return []float32{}
	}
	c := spareSize(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.free[c]
	if len(list) == 0 {
		return make([]float32, n, c)
	}
	x := list[len(list)-1]
	list[len(list)-1] = nil
	s.free[c] = list[:len(list)-1]
	s.size -= int64(4 * c)
	return x[:n]
}

// Put takes what Get gave and nobody reads any more.
func (s *Spare) Put(x []float32) {
	c := cap(x)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c == 0 || c != spareSize(c) || s.Limit > 0 && s.size+int64(4*c) > s.Limit {
		return
	}
	if s.free == nil {
		s.free = map[int][][]float32{}
	}
	s.free[c] = append(s.free[c], x[:0])
	s.size += int64(4 * c)
}

// spareSize is n rounded up to four bits: sizes that differ little share memory.
func spareSize(n int) int {
	unit := 1 << max(bits.Len(uint(n))-4, 0)
	return (n + unit - 1) &^ (unit - 1)
}
