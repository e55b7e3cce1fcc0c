*** Comments ***
The recipe's prompts on the emulated board: tokens, CRC-32 of the logits, instruction counts.
renode-test renode/mps2_an386.robot --variable ELF:/folder/firmware.elf --variable EXPECTED:/folder/expected.json

*** Settings ***
Resource          thimble.resource
Suite Setup       Setup
Suite Teardown    Teardown
Test Setup        Reset Emulation
Test Teardown     Test Teardown
Resource          ${RENODEKEYWORDS}

*** Variables ***
${SCRIPT}                  ${CURDIR}/mps2_an386.resc
${INSTRUCTIONS_PER_TICK}    40

*** Test Cases ***
Should Tell What It Runs
    Boot    ${SCRIPT}    ${ELF}
    Write Line To Uart    INFO
    Wait For Line On Uart    ^OK protocol=1 board=mps2_an386 .* weights=intact$    treatAsRegex=true

Should Answer Every Prompt As Expected
    ${expected}=    Evaluate    json.load(open($EXPECTED, encoding="utf-8"))    modules=json
    Boot    ${SCRIPT}    ${ELF}
    FOR    ${prompt}    IN    @{expected}[prompts]
        ${before}=    Executed Instructions
        ${ticks}=    Ask Should Give    ${prompt}
        ${after}=    Executed Instructions
        Should Be True    ${ticks} * ${INSTRUCTIONS_PER_TICK} <= ${after} - ${before}
    END

Should Refuse What Is Malformed And Go On
    Boot    ${SCRIPT}    ${ELF}
    Write Line To Uart    NONSENSE
    Wait For Line On Uart    ERR unknown
    Write Line To Uart    ASK 4 %ff
    Wait For Line On Uart    ERR not-utf8
    Write Line To Uart    ASK 0 light
    Wait For Line On Uart    ERR out-of-range
    Write Line To Uart    INFO
    Wait For Line On Uart    OK protocol=1

Should Report A Stack Overflow
    [Documentation]    Needs an image built with -DTHIMBLE_TEST_COMMANDS=ON.
    [Tags]    test_commands
    Boot    ${SCRIPT}    ${ELF}
    Write Line To Uart    CRASH stack
    Wait For Line On Uart    FAULT stack-overflow
