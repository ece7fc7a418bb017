{
  # CMakeLists.txt is the only list of sources: this calls the same CMake build for tools that know node-gyp only.
  "targets": [
    {
      "target_name": "sam3_tracker",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          "message": "Building build/Release/sam3_tracker.node with CMake",
          "inputs": ["CMakeLists.txt"],
          # Never made, so that the action always runs: CMake knows what is up to date.
          "outputs": ["<(INTERMEDIATE_DIR)/never-made"],
          "action": ["node", "scripts/setup.mjs", "--for", "addon", "--out", "build/Release"],
        }
      ]
    }
  ]
}
