// Package compare says how far a quantized model is from the original: node by
// node in lock step with the FP32 executor (RunLockStep), matrix by matrix
// (LockStep.Weights), and against the FP32 results embedded in the file (Check).
package compare
