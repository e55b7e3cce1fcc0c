"""The engine `tflm`: the same application over TensorFlow Lite Micro's interpreter.

`library` finds a built TensorFlow Lite Micro in TFLM_DIR, `arena` computes how much memory the interpreter needs,
`emit` writes the .tflite as C with what the interpreter must be told. The code around it is in
`firmware_templates/tflm`.
"""
