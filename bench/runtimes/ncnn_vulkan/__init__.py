"""ncnn on a GPU, by Vulkan."""
