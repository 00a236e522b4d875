package convert

import (
	"fmt"
	"runtime"

	"qpt/calibrate"
	"qpt/format"
	"qpt/internal/num"
	"qpt/kernels/linear"
)

// GCPercent is what Memory counts with, for debug.SetGCPercent: garbage may take a quarter of what is in use. With Go's
// default of 100 a conversion is no faster and takes up to 1.6 times as much.
const GCPercent = 25

// processBytes is what a process takes besides Go's heap: the pages of the program that run, stacks, the runtime.
const processBytes = 11 << 20

// held is the heap that the process had taken and had in use when the plan was made; most of it is the tokenizer.
type held struct{ taken, live int64 }

func holds() held {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return held{int64(m.HeapSys - m.HeapReleased), int64(m.HeapAlloc)}
}

// Memory estimates the most that the process takes while Run works, in bytes. With a calibration text this is for as
// much text as the recipe allows, and what is beyond Options.Mem goes to a temporary file.
func (p *Plan) Memory() int64 {
	_, most := p.calibrationMemory()
	return min(max(p.process(p.runMemory()), most), max(p.Opt.Mem, p.least()))
}

// least is what Run cannot do without.
func (p *Plan) least() int64 {
	least, _ := p.calibrationMemory()
	return max(p.process(p.runMemory()), least)
}

// process is the memory of the process when a stage uses so much of the heap, and leaves garbage.
func (p *Plan) process(stage int64) int64 {
	return processBytes + max(p.held.taken, (p.held.live+stage)*(100+GCPercent)/100)
}

// heap is what calibration may use of the heap under the cap, a tenth left to garbage.
func (p *Plan) heap() int64 {
	return max((p.Opt.Mem-processBytes-p.held.live-p.turnedMemory())*10/11, 1)
}

// checkMemory refuses a cap below the least.
func (p *Plan) checkMemory() error {
	if need := p.process(p.runMemory()); need > p.Opt.Mem {
		return fmt.Errorf("%w: the widest layer needs %d MiB of working memory with %d threads, the cap is %d MiB: raise it (--mem) or use fewer threads", ErrUsage, need>>20+1, p.Opt.Threads, p.Opt.Mem>>20)
	}
	if need := p.least(); need > p.Opt.Mem {
		return fmt.Errorf("%w: calibrating the widest layer needs %d MiB of working memory, the cap is %d MiB: raise it (--mem) or take shorter sequences (--calib-length)", ErrUsage, need>>20+1, p.Opt.Mem>>20)
	}
	return nil
}

// runMemory is the heap of the stages after calibration.
func (p *Plan) runMemory() int64 {
	m := max(p.weightsMemory(), finishBytes)
	if p.refers() {
		m = max(m, p.referenceMemory())
	}
	return m + p.turnedMemory()
}

// finishBytes is what the encoder of the file's small sections takes.
const finishBytes = 5 << 20

// weightsMemory is that of the stage "weights": two buffers of packed rows, per core 16 rows of the widest layer in several
// forms, the scales of the largest layer and of the one before it, all of a layer after calibration; of codes, 16 rows and bands
// of what is stored turned; reading, hashing and writing take a few buffers of 1 MiB, compression 18 MiB a core.
func (p *Plan) weightsMemory() int64 {
	var buffer, layer, codes int64
	forms := int64(9) // bytes
	if p.hqq() {
		forms = 24
	}
	for i := range p.Items {
		it := &p.Items[i]
		if it.Format == format.PlainF32 {
			layer = max(layer, 2*it.Bytes)
			continue
		}
		if it.dtype == 0 && it.Source != "" {
			codes = max(codes, int64(p.Opt.Threads)*16*int64(it.Shape[1])*3+8<<20)
		}
		if c := it.codes; c != nil { // two buffers, then the numbers of all groups, and their shortest form
			buffer = max(buffer, 2*keepBuffer)
			layer = max(layer, int64(c.n)*int64(c.Groups())*24+int64(p.Opt.Threads)*16*int64(c.K)*9)
			continue
		}
		n, k := it.Shape[0], it.Shape[1]
		rows := min(p.chunkRows(linear.Format(it.Format), k), num.Pad(n, 16))
		chunk, _, _, _, _, _ := linear.Sizes(linear.Format(it.Format), rows, k, it.Group)
		data, _, _, _, _, _ := linear.Sizes(linear.Format(it.Format), n, k, it.Group)
		buffer = max(buffer, 2*int64(chunk))
		own := 2*(it.Bytes-int64(data)) + int64(p.Opt.Threads)*16*int64(k)*forms
		if p.calibrates() {
			own += int64(data)
		}
		layer = max(layer, own)
	}
	m := buffer + layer + codes + 4<<20
	if p.Opt.Compress {
		m += int64(p.Opt.Threads) * 18 << 20
	}
	return m
}

// referenceMemory is that of the stage "reference": the values of a pass's tokens that are alive at once, a block of logits, and
// two chunks of weights (package ref).
func (p *Plan) referenceMemory() int64 {
	var live int64
	p.Model.Graph.Live(func(node int, during, _ int64) {
		if node+1 < len(p.Model.Graph.Nodes) {
			live = max(live, during)
		}
	})
	var chunk int64
	for i := range p.Items {
		chunk = max(chunk, min(4*p.Items[i].Values, 4<<20))
	}
	return 4*(refPass*live+refBlock*int64(p.Model.Vocab)) + 2*chunk
}

// turnedMemory is what rotated weights take while they are read.
func (p *Plan) turnedMemory() int64 {
	if p.turned == nil {
		return 0
	}
	return p.turned.Memory()
}

// calibrationMemory is what the process takes at least while it calibrates, and at most: that keeps all activations in
// memory. Its large matrices stay, so that there is hardly any garbage.
func (p *Plan) calibrationMemory() (least, most int64) {
	if !p.calibrates() {
		return 0, 0
	}
	least, most = calibrate.Memory(p.graph, p.calibrateOptions())
	rest := processBytes + p.held.live + p.turnedMemory()
	return least + rest, most + (most-least)*GCPercent/100 + rest // values come and go
}

// chunkRows is how many rows are quantized before they are written: 16 MiB or
// an eighth of the memory cap, whole blocks of 16.
func (p *Plan) chunkRows(f linear.Format, k int) int {
	data, _, _, _, _, _ := linear.Sizes(f, 16, k, max(p.Recipe.Group, 16))
	return 16 * int(max(1, min(16<<20, p.Opt.Mem/8)/int64(data)))
}
