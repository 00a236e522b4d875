package kernels

func linearF32(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, ep Epilogue, s *Scratch) {
	panic("linearF32 missing")
}

func linearBF16(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, ep Epilogue, s *Scratch) {
	panic("linearBF16 missing")
}
